//! `acquis.yaml`: what to read.

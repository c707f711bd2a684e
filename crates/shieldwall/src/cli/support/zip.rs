//! Writes a zip archive: deflated files, then their directory.
//!
//! Sizes are 32 bits wide; what is longer is cut, which for logs and tables never happens.

use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write as _;

/// One file's place in the archive.
struct Entry<'a> {
    name: &'a str,
    crc: u32,
    packed: Vec<u8>,
    length: u32,
    offset: u32,
}

/// An archive of named files.
pub(super) fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entries = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let bytes = bytes.get(..bytes.len().min(1 << 30)).unwrap_or_default();
        let mut crc = Crc::new();
        crc.update(bytes);
        let entry = Entry {
            name,
            crc: crc.sum(),
            packed: deflated(bytes),
            length: width(bytes.len()),
            offset: width(out.len()),
        };
        out.extend(b"PK\x03\x04");
        entry.describe(&mut out);
        out.extend(entry.name.as_bytes());
        out.extend(&entry.packed);
        entries.push(entry);
    }
    let start = out.len();
    for entry in &entries {
        // Written by a unix program, which needs version 2.0 to read.
        out.extend(b"PK\x01\x02\x14\x03");
        entry.describe(&mut out);
        // No comment, the first disk, a text of unknown sort, readable by its owner.
        out.extend([0_u8; 6]);
        out.extend((0o100_600_u32 << 16).to_le_bytes());
        out.extend(entry.offset.to_le_bytes());
        out.extend(entry.name.as_bytes());
    }
    let size = out.len() - start;
    let n_files = u16::try_from(entries.len()).unwrap_or(u16::MAX).to_le_bytes();
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(n_files);
    out.extend(n_files);
    out.extend(width(size).to_le_bytes());
    out.extend(width(start).to_le_bytes());
    out.extend([0, 0]);
    out
}

impl Entry<'_> {
    /// What stands in front of the file and in the directory.
    fn describe(&self, out: &mut Vec<u8>) {
        // Version 2.0; names are UTF-8; deflated; 1980-01-01, because the archive's name has a date.
        out.extend([20, 0, 0, 8, 8, 0, 0, 0, 0x21, 0]);
        out.extend(self.crc.to_le_bytes());
        out.extend(width(self.packed.len()).to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend([0, 0]);
    }
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn width(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    #[test]
    fn the_layout_is_that_of_zip() {
        let archive = archive(&[("a/b.txt".to_owned(), b"hello hello hello".to_vec())]);
        assert_eq!(&archive[..4], b"PK\x03\x04");
        assert_eq!(&archive[30..37], b"a/b.txt");
        let end = archive.len() - 22;
        assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
        let start = u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap()) as usize;
        assert_eq!(&archive[start..start + 4], b"PK\x01\x02");
        assert_eq!(&archive[start + 46..start + 53], b"a/b.txt");
        assert_eq!(start + 53, end);
    }

    #[test]
    fn other_programs_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zip");
        let files =
            [("a/ü.txt".to_owned(), "x".repeat(5000).into_bytes()), ("b".to_owned(), vec![])];
        fs::write(&path, archive(&files)).unwrap();
        let script = "import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\n\
                      print(z.testzip(), [(i.filename, i.file_size) for i in z.infolist()])";
        // Where there is no Python this says nothing; the layout is tested above.
        let Ok(ran) = Command::new("python3").args(["-c", script]).arg(&path).output() else {
            return;
        };
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(
            text,
            "None [('a/ü.txt', 5000), ('b', 0)]\n",
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

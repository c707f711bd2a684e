//! Every story of the book. `UPDATE_EXPECT=1` rewrites what they say; read the diff.

use std::{
    env, fs,
    path::{Path, PathBuf},
};
use testkit::book;

#[test]
fn every_story_happens_as_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/tests");
    let mut files = Vec::new();
    markdown(&root, &mut files);
    files.sort();
    let (mut n_stories, mut wrong) = (0, Vec::new());
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let mut rewrites = Vec::new();
        for story in book::stories(&text) {
            n_stories += 1;
            let verdict = book::check(&story);
            for (index, said) in verdict.rewrites {
                rewrites.push((story.blocks[index].line, said));
            }
            if !verdict.differences.is_empty() {
                let file = path.strip_prefix(&root).unwrap().display();
                wrong.push(format!("{file} › {}\n{}", story.name, verdict.differences));
            }
        }
        if env::var_os("UPDATE_EXPECT").is_some() && !rewrites.is_empty() {
            fs::write(path, book::rewrite(&text, &rewrites)).unwrap();
        }
    }
    assert!(n_stories > 0, "there are no stories");
    let n_wrong = wrong.len();
    assert!(
        wrong.is_empty(),
        "{n_wrong} of {n_stories} stories went another way (UPDATE_EXPECT=1 rewrites them)\n\n{}",
        wrong.join("\n")
    );
}

fn markdown(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("stories lie beside the crates") {
        let path = entry.expect("a directory can be read to its end").path();
        if path.is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

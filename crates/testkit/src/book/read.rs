//! From Markdown to stories.
//!
//! Only what stories are made of is read: headings and fenced blocks. Everything else is for people.

/// One heading of the second level with its blocks.
#[derive(Clone, Debug)]
pub struct Story {
    /// The heading.
    pub name: String,
    /// Its blocks, those the whole file shares first.
    pub blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The words after the fence.
    pub words: Vec<String>,
    /// What is inside, with a line feed after each line.
    pub text: String,
    /// The number of the line its fence stands on, from 1.
    pub line: usize,
}

impl Block {
    /// The word that says what it holds: the first that is not `yaml`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.words.iter().map(String::as_str).find(|word| *word != "yaml").unwrap_or("")
    }

    /// The words after the kind that are not `key=value`.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        let from = self.words.iter().position(|word| word == self.kind()).map_or(0, |at| at + 1);
        self.words[from..].iter().map(String::as_str).filter(|word| !word.contains('='))
    }

    /// The pairs after the kind.
    pub(super) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.words.iter().filter_map(|word| word.split_once('='))
    }

    /// The value of an option.
    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.options().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

/// The stories of a file, in order.
#[must_use]
pub fn stories(text: &str) -> Vec<Story> {
    let mut shared: Vec<Block> = Vec::new();
    let mut stories: Vec<Story> = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if let Some(name) = line.strip_prefix("## ") {
            stories.push(Story { name: name.trim().to_owned(), blocks: shared.clone() });
        }
        let Some(fence) = fence(line) else { continue };
        let mut block = Block {
            words: line[fence.len()..].split_whitespace().map(str::to_owned).collect(),
            text: String::new(),
            line: number,
        };
        for (inner, _) in lines.by_ref().take_while(|(inner, _)| *inner != fence) {
            block.text.push_str(inner);
            block.text.push('\n');
        }
        match stories.last_mut() {
            Some(story) => story.blocks.push(block),
            None => shared.push(block),
        }
    }
    stories
}

fn fence(line: &str) -> Option<&str> {
    let end = line.find(|c| c != '`').unwrap_or(line.len());
    (end >= 3).then(|| &line[..end])
}

/// The file with some blocks saying something else. Blocks are named by the line of their fence.
#[must_use]
pub fn rewrite(text: &str, rewrites: &[(usize, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let Some(fence) = fence(line) else { continue };
        let rewritten = rewrites.iter().find(|(at, _)| *at == number);
        if let Some((_, content)) = rewritten {
            out.push_str(content);
        }
        for (inner, _) in lines.by_ref() {
            if rewritten.is_none() || inner == fence {
                out.push_str(inner);
                out.push('\n');
            }
            if inner == fence {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Chapter

```data names.txt
root
```

## One story

```log demo replay user=x
a
```

```expect
old
```
";

    #[test]
    fn what_precedes_the_first_story_belongs_to_all() {
        let stories = stories(FILE);
        assert_eq!(stories.len(), 1);
        let [data, log, expect] = stories[0].blocks.as_slice() else { panic!("three blocks") };
        assert_eq!((data.kind(), data.text.as_str()), ("data", "root\n"));
        assert_eq!(log.arguments().collect::<Vec<_>>(), ["demo", "replay"]);
        assert_eq!(log.option("user"), Some("x"));
        assert_eq!((expect.kind(), expect.line), ("expect", 13));
    }

    #[test]
    fn a_block_is_rewritten_in_its_place() {
        let rewritten = rewrite(FILE, &[(13, "new\nlines\n".to_owned())]);
        assert_eq!(rewritten, FILE.replace("old\n", "new\nlines\n"));
    }
}

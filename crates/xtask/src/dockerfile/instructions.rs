//! Reading a Dockerfile: the few instructions that ours needs, in the forms it should have them in.

use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// An image, and what is done in it.
#[derive(Debug)]
pub(super) struct Stage {
    /// With its tag.
    pub(super) image: String,
    /// What other stages call it.
    pub(super) name: Option<String>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Workdir(PathBuf),
    /// Of another stage, or of the repository.
    Copy {
        from: Option<String>,
        source: PathBuf,
        to: PathBuf,
    },
    Run(String),
    User(String),
    Command(Vec<String>),
}

/// The stages of a Dockerfile.
pub(super) fn read(text: &str) -> Result<Vec<Stage>> {
    let mut arguments = HashMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines(text) {
        let (instruction, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        match instruction {
            "ARG" => {
                let (name, value) = rest.split_once('=').context("an ARG should have a default")?;
                arguments.insert(format!("${{{name}}}"), value.to_owned());
            }
            "FROM" => stages.push(stage(rest, &arguments)?),
            _ => {
                let known = stages
                    .iter()
                    .filter_map(|stage| stage.name.clone())
                    .collect::<Vec<_>>();
                let step = step(instruction, rest, &known).with_context(|| line.clone())?;
                stages.last_mut().context("a step before FROM")?.steps.push(step);
            }
        }
    }
    Ok(stages)
}

/// Instructions, without comments, each on one line.
fn lines(text: &str) -> Vec<String> {
    let told = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let joined = told.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

fn stage(rest: &str, arguments: &HashMap<String, String>) -> Result<Stage> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words[..] {
        [image] => (image, None),
        [image, "AS", name] => (image, Some(name.to_owned())),
        _ => bail!("FROM {rest} is neither an image nor one AS a name"),
    };
    let image = arguments.get(image).map_or(image, String::as_str);
    let tag = image.split_once(':').map_or("", |(_, tag)| tag);
    ensure!(
        !tag.is_empty() && tag != "latest",
        "{image} may be another one tomorrow: it has no version"
    );
    Ok(Stage {
        image: image.to_owned(),
        name,
        steps: Vec::new(),
    })
}

fn step(instruction: &str, rest: &str, stages: &[String]) -> Result<Step> {
    Ok(match instruction {
        "WORKDIR" => {
            let folder = PathBuf::from(rest);
            ensure!(folder.is_absolute(), "a WORKDIR should be absolute");
            Step::Workdir(folder)
        }
        "COPY" => copy(rest, stages)?,
        "RUN" => Step::Run(rest.to_owned()),
        "USER" => Step::User(rest.to_owned()),
        // In the form that a shell does not run, which would keep signals from the server.
        "CMD" => Step::Command(serde_json::from_str(rest).context("a CMD should be a JSON array")?),
        _ => bail!("{instruction} is not an instruction that is known here"),
    })
}

fn copy(rest: &str, stages: &[String]) -> Result<Step> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (from, [source, to]) = match words[..] {
        [source, to] => (None, [source, to]),
        [from, source, to] => {
            let name = from.strip_prefix("--from=").context("a COPY of several")?;
            (Some(name.to_owned()), [source, to])
        }
        _ => bail!("a COPY should be of one folder"),
    };
    if let Some(name) = &from {
        ensure!(stages.contains(name), "no stage before is called {name}");
    }
    Ok(Step::Copy {
        from,
        source: PathBuf::from(source),
        to: PathBuf::from(to),
    })
}

/// A shell's command with its absolute paths below a root directory.
pub(super) fn below_root(command: &str, root: &Path) -> String {
    let words = command.split(' ').map(|word| match word.strip_prefix('/') {
        Some(path) => root.join(path).display().to_string(),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_with_their_arguments_comments_and_long_lines() -> Result<()> {
        let text = "ARG I=a:1-b\nFROM ${I} AS one\n# no\nWORKDIR /x\nRUN make \\\n  all > /y\nFROM c:2\nCOPY --from=one /y .\nCMD [\"c\"]\n";
        let [one, two] = &read(text)?[..] else {
            bail!("two stages");
        };
        assert_eq!((one.image.as_str(), one.name.as_deref()), ("a:1-b", Some("one")));
        let Step::Run(command) = &one.steps[1] else {
            bail!("a command");
        };
        assert_eq!(
            below_root(command, Path::new("/r"))
                .split_whitespace()
                .collect::<Vec<_>>(),
            ["make", "all", ">", "/r/y"]
        );
        assert_eq!(two.steps.len(), 2);
        Ok(())
    }

    #[test]
    fn what_is_not_as_it_should_be_is_refused() {
        for text in [
            "FROM a",
            "FROM a:latest",
            "RUN x",
            "ARG x\nFROM a:1",
            "FROM a:1\nADD x y",
            "FROM a:1\nWORKDIR x",
            "FROM a:1\nCMD serve",
            "FROM a:1\nCOPY --from=b /x /y",
            "FROM a:1 as b",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

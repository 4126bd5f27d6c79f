//! Forward passes at fp32 against torch on as many threads, and the memory they need.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};

use super::{Bench, Line, memory};

const NETWORKS: &[(&str, &str)] = &[
    ("resnet18", "ResNet-18 (1×3×224×224)"),
    ("distilbert", "DistilBERT (6 layers, 128 tokens)"),
    ("unet", "UNet of the corpus (1×3×256×256)"),
];
/// Passes of each, in turn; the fastest counts, since a busy machine only ever adds.
const ROUNDS: usize = 40;
/// Seconds over those of torch.
const TIME: f64 = 2.0;
/// The most bytes that arrays have at a time, over the largest live set.
const MEMORY: f64 = 1.5;
/// The largest difference from torch's outputs, over their scale.
const DIFFERENCE: f64 = 1e-5;
/// Passes of the run whose memory is watched.
const PASSES: &[u8] = b"\n\n\n\n\n\n\n\n";

pub(super) fn measure(bench: &Bench, python: &Path) -> anyhow::Result<Vec<Line>> {
    let command = example()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut lines = Vec::new();
    for (network, what) in NETWORKS {
        let script = crate::workspace_root().join("xtask/python/time_torch.py");
        let mut torch = Command::new(python);
        torch.arg(&script).arg(network).arg(&bench.folder).arg(threads.to_string());
        let (mut torch, _) =
            Passes::start(&mut torch).with_context(|| format!("running {}", script.display()))?;
        let mut ours = Command::new(&command);
        ours.env("RAYON_NUM_THREADS", threads.to_string());
        ours.arg(bench.path(&format!("{network}.mlpackage")));
        ours.args(["inputs", "outputs"].map(|side| bench.path(&format!("{network}.{side}.npz"))));
        let (mut passes, said) = Passes::start(&mut ours)?;
        let figures: Vec<f64> = said.split_whitespace().filter_map(|x| x.parse().ok()).collect();
        let &[live, peak, difference] = figures.as_slice() else {
            anyhow::bail!("the example says {said:?}");
        };
        let (mut fastest, mut fastest_torch) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            fastest_torch = fastest_torch.min(torch.pass()?);
            fastest = fastest.min(passes.pass()?);
        }
        torch.end()?;
        passes.end()?;
        let watched = memory::peak_fed(&mut ours, PASSES)?;
        println!(
            "{network}: torch {:.2} ms, ours {:.2} ms on {threads} threads; {:.1} MB live, {:.1} MB in arrays, \
             {:.1} MB anonymous; difference {difference:.1e}",
            fastest_torch * 1e3,
            fastest * 1e3,
            live / 1e6,
            peak / 1e6,
            watched.anonymous as f64 / 1e6,
        );
        ensure!(difference <= DIFFERENCE, "{network} differs from torch by {difference:e} of its scale");
        let ratio = fastest / fastest_torch;
        lines.push(Line {
            what: format!("forward pass of {what} at fp32 over torch's, {threads} threads"),
            target: format!("at most {TIME}×"),
            measured: format!("{ratio:.2}× ({:.1} ms over {:.1} ms)", fastest * 1e3, fastest_torch * 1e3),
            met: ratio <= TIME,
        });
        lines.push(Line {
            what: "its arrays at a time, over the largest live set".to_owned(),
            target: format!("at most {MEMORY}×"),
            measured: format!(
                "{:.2}× ({:.1} MB over {:.1} MB; {:.1} MB of anonymous memory in the process)",
                peak / live,
                peak / 1e6,
                live / 1e6,
                watched.anonymous as f64 / 1e6
            ),
            met: peak <= MEMORY * live,
        });
    }
    Ok(lines)
}

/// The example that runs models, from the release build.
fn example() -> anyhow::Result<std::path::PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = crate::workspace_root();
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "anewrite", "--example", "forward"])
        .current_dir(root)
        .status()
        .context("building the example")?;
    ensure!(status.success(), "the example does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(target.join("release/examples").join(format!("forward{}", std::env::consts::EXE_SUFFIX)))
}

/// A process that makes one pass for every line and says how long it took.
struct Passes {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Passes {
    /// Starts it and waits until it is ready; what it says of itself.
    fn start(command: &mut Command) -> anyhow::Result<(Passes, String)> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().context("no input")?;
        let from = BufReader::new(child.stdout.take().context("no output")?);
        let mut passes = Passes { child, to, from };
        let said = passes.line()?;
        let said =
            said.strip_prefix("ready").with_context(|| format!("{command:?} says {said:?}"))?.to_owned();
        Ok((passes, said))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Seconds of one pass.
    fn pass(&mut self) -> anyhow::Result<f64> {
        self.to.write_all(b"\n")?;
        self.to.flush()?;
        let line = self.line()?;
        line.parse().with_context(|| format!("{line:?} where seconds are expected"))
    }

    fn end(mut self) -> anyhow::Result<()> {
        drop(self.to);
        ensure!(self.child.wait()?.success(), "a pass fails");
        Ok(())
    }
}

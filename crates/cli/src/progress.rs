//! Progress of long work, on terminals only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar for bytes that are written.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("writing {bar:30} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// A spinner for work whose length is not known, shown only once it takes long. Dropping it ends it.
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    pub(crate) fn start(what: &str) -> Spinner {
        let bar = ProgressBar::hidden();
        bar.set_message(what.to_owned());
        let shown = bar.clone();
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            if !shown.is_finished() {
                shown.set_draw_target(indicatif::ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(120));
            }
        });
        Spinner { bar }
    }
}

impl Spinner {
    /// Shows what is being compared; what a comparison will cost stands on the standard error before it starts.
    pub(crate) fn event(&self, event: &anewrite::Event<'_>) {
        match event {
            anewrite::Event::Plan(plan) => {
                let sampled = plan.sampled.as_ref().map_or(String::new(), |s| format!("; {s}"));
                let text = format!(
                    "comparing: {} runs, {:.1} G operations, about {:.0} s and {} MB{sampled}",
                    plan.runs,
                    plan.operations / 1e9,
                    plan.seconds.ceil(),
                    plan.memory.div_ceil(1 << 20),
                );
                // worth a line of its own only where someone will wait
                if plan.seconds >= 1.0 {
                    self.bar.suspend(|| {
                        let _ = std::io::Write::write_fmt(&mut anstream::stderr(), format_args!("{text}\n"));
                    });
                }
                self.bar.set_message(text);
            }
            anewrite::Event::Case(case, done, of) => {
                self.bar.set_message(format!("comparing {} of {of}: {case}", done + 1));
            }
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

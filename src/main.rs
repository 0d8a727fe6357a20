//! The `pinegate` program.
use std::io::Write;
fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut out = std::io::stdout();
    let settings = pinegate::demo::scenario::DemoSettings {
        directory: "/tmp/demo1".into(),
        once: std::env::args().nth(1).is_some(),
    };
    match pinegate::demo::scenario::run(&settings, &mut out) {
        Ok(x) => {
            let _ = writeln!(out, "{x}");
        }
        Err(e) => {
            let _ = writeln!(out, "{}", pinegate::kernel::diagnostic::chain(&e));
        }
    }
}

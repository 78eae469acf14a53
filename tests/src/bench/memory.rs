//! later
pub fn run() {}
pub const CHILD: &str = "child-memory";
pub fn child(_: &[String]) -> Result<(), String> {
    Ok(())
}

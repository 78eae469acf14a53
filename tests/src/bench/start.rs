//! later
pub fn run() {}
pub const CHILD: &str = "child-start";
pub fn child(_: &[String]) -> Result<(), String> {
    Ok(())
}

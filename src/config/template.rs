//! The config file as it is first written: every option with its comment.

use toml::Value;

/// The file with all defaults.
pub const TEMPLATE: &str = include_str!("template.toml");

/// The template with some options set. An option is `key` or `section.key`; every one named must be in the template.
pub fn render(values: &[(&str, Value)]) -> String {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let key = line.trim_start_matches('#').split_once(" = ").map(|(key, _)| key);
        let value =
            key.and_then(|key| values.iter().find(|(option, _)| *option == format!("{section}{key}")).map(|(_, value)| (key, value)));
        lines.push(match value {
            Some((key, value)) => format!("{key} = {value}"),
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

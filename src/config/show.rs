//! The keys as text for `config show`: each value, and where it was given. Secrets are masked.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::sections::Config;

impl Config {
    /// Every key with its value, in the order of the example file; `null` for a key that has neither value nor default.
    pub fn entries(&self) -> Vec<(String, Value)> {
        let of_key = |(key, shown): &(String, Value)| {
            // The values in effect: the defaults of some of these keys depend on other keys.
            let value = match key.as_str() {
                "data_dir" => json!(self.data_dir.to_string_lossy()),
                "key_file" => json!(self.key_path().to_string_lossy()),
                "server.name" => json!(self.service_name().as_str()),
                "server.listen" => json!(self.server.listen.to_string()),
                "server.public_url" => json!(self.public_url()),
                "mail.transport" => json!(self.mail_transport().into_str()),
                "mail.smtp_url" if shown.is_null() => json!(""),
                "mail.helo_name" => json!(self.helo_name().map(|name| name.to_string())),
                _ => shown.clone(),
            };
            (key.clone(), value)
        };
        self.shown.iter().map(of_key).collect()
    }

    /// Every key as one object, nested as in the file.
    pub fn to_json(&self) -> Value {
        let mut root = Map::new();
        for (key, value) in self.entries() {
            match key.split_once('.') {
                None => drop(root.insert(key, value)),
                Some((section, key)) => {
                    let section = root.entry(section).or_insert_with(|| json!({}));
                    section[key] = value;
                }
            }
        }
        Value::Object(root)
    }

    /// Every key as TOML that [`Config::load`] reads; a comment says where a key was given.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = String::new();
        for (key, value) in self.entries() {
            let (section, name) = key.split_once('.').unwrap_or(("", &key));
            if section != current {
                let _ = writeln!(text, "\n[{section}]");
                section.clone_into(&mut current);
            }
            let line = match &value {
                Value::Null => format!("# {name} is not set"),
                // A string or list of JSON is also valid TOML, unless it contains U+007F, which JSON does not escape.
                value => format!("{name} = {}", value.to_string().replace('\u{7f}', "\\u007F")),
            };
            let mut locations = [key.clone(), format!("{key}_file")].into_iter();
            let _ = match locations.find_map(|key| self.locations.get(&key)) {
                Some(location) => writeln!(text, "{line}  # {location}"),
                None => writeln!(text, "{line}"),
            };
        }
        text
    }
}

//! Compresses the large files of Swagger UI, which are compiled into the executable.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::{env, fs};

use flate2::{Compression, GzBuilder};

const FOLDER: &str = "openapi/ui";
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> io::Result<()> {
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for name in FILES {
        let path = format!("{FOLDER}/{name}");
        println!("cargo::rerun-if-changed={path}");
        // Without time and name, so that every build makes the same bytes.
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
        encoder.write_all(&fs::read(path)?)?;
        fs::write(output.join(format!("{name}.gz")), encoder.finish()?)?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

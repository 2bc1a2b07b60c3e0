//! Finds the operators' pages to compile in, or a page that says how to make them; watches the migrations.

use std::{env, error::Error, fs, path::Path};

const PLACE_HOLDER: &str = r#"<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>班班通</title></head>
<body><h1>页面尚未编译</h1>
<p>请运行 <code>cargo xtask setup</code> 后重新编译控制台。接口说明见 <a href="/api/docs">/api/docs</a>。</p>
<p>The pages are not built: run <code>cargo xtask setup</code>, then build the console again.</p></body></html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=../web/dist");
    println!("cargo:rerun-if-changed=messages");
    let built = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../web/dist");
    // An absent folder cannot be watched: cargo would build the console anew each time.
    fs::create_dir_all(&built)?;
    let pages = if built.join("index.html").is_file() {
        built.canonicalize()?
    } else {
        let folder = Path::new(&env::var("OUT_DIR")?).join("pages");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("index.html"), PLACE_HOLDER)?;
        folder
    };
    println!("cargo:rustc-env=EMBEDDED_PAGES={}", pages.display());
    Ok(())
}

//! Hands the interpreter's `cfg` flags (`Py_GIL_DISABLED`, `Py_3_12`, ...) to this crate, and has the
//! linker put the stubs of `src/thread_exit.rs` in front of CPython's functions.

include!("src/thread_exit/names.rs");

fn main() {
    pyo3_build_config::use_pyo3_cfgs();

    println!("cargo:rustc-check-cfg=cfg(thread_exit_stubs)");
    let target = |what| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    let version = pyo3_build_config::get().version();
    let ends_threads_by_unwinding = (version.major, version.minor) < (3, 14)
        && target("OS") == "linux"
        && target("ENV") == "gnu"
        && ["x86_64", "aarch64"].contains(&target("ARCH").as_str());
    if ends_threads_by_unwinding {
        println!("cargo:rustc-cfg=thread_exit_stubs");
        for name in NAMES {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap={name}");
        }
    }
}

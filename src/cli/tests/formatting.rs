//! `pinegate fmt`.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const SAVED: &[u8] =
    b"\xef\xbb\xbf# grants,,,,\r\n\"g, dept:a, group:b\",,\r\ng,dept:long,group:b\r\nG, x, y\r\n";
const WRITTEN: &str = "# grants\ng, dept:a,    group:b\ng, dept:long, group:b\nG, x, y\n";

fn saved(directory: &Path) -> PathBuf {
    let file = directory.join("grants.csv");
    fs::write(&file, SAVED).unwrap();
    file
}

#[test]
fn check_shows_what_would_change_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = saved(directory.path());
    let ran = pinegate(&["fmt", "--check", "--diff", file.to_str().unwrap()]);
    assert_eq!((ran.exit, ran.err.as_str()), (1, ""));
    insta::assert_snapshot!(without(directory.path(), &ran.out));
    assert_eq!(fs::read(&file).unwrap(), SAVED);
    let report = json(&pinegate(&["fmt", "--check", "--json", file.to_str().unwrap()]));
    assert_eq!((&report["ok"], &report["check"]), (&false.into(), &true.into()));
    assert_eq!(report["files"][0]["changed"], true);
    assert_eq!(report["files"][0]["repairs"][0]["repair"], "byte-order-mark");
    assert_eq!(report["findings"][0]["code"], "unknown-section");
}

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let file = saved(directory.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let link = directory.path().join("link.csv");
    symlink("grants.csv", &link).unwrap();
    let ran = pinegate(&["fmt", link.to_str().unwrap()]);
    assert_eq!(ran.exit, 1, "a line is left that is not certain: {ran:?}");
    assert!(ran.out.contains("did you mean `g`?"), "{}", ran.out);
    assert!(ran.out.contains("1 file formatted, 0 as they should be"), "{}", ran.out);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), WRITTEN);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    edit(&file, "G, x, y\n", "");
    let ran = pinegate(&["fmt", "--check", link.to_str().unwrap()]);
    assert_eq!((ran.exit, ran.out.as_str()), (0, "1 file as they should be\n"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left beside it");
}

#[test]
fn what_is_there_and_cannot_be_read_is_not_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let policies = policies(directory.path());
    let path = policies.to_str().unwrap();
    let ran = pinegate(&["fmt", &format!("{path}/nowhere")]);
    assert_eq!(ran.exit, 1);
    assert!(
        without(directory.path(), &ran.err).contains("`DIR/policies/nowhere` cannot be read: No such file")
    );
    let grants = policies.join("grants.csv");
    fs::remove_file(&grants).unwrap();
    symlink("elsewhere.csv", &grants).unwrap();
    let ran = pinegate(&["fmt", path]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.err.contains("grants.csv` cannot be read: No such file"), "{}", ran.err);
    fs::remove_file(&grants).unwrap();
    fs::create_dir(&grants).unwrap();
    let ran = pinegate(&["fmt", path]);
    assert!(ran.err.contains("grants.csv` is not a regular file"), "{}", ran.err);
}

#[test]
fn names_need_not_be_unicode() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = tempfile::tempdir().unwrap();
    let odd = directory.path().join(OsStr::from_bytes(b"p\xff"));
    fs::create_dir(&odd).unwrap();
    let odd = policies(&odd);
    fs::create_dir_all(odd.join("tests")).unwrap();
    fs::write(odd.join("tests").join(OsStr::from_bytes(b"\xff.toml")), "[[case]]  \n").unwrap();
    let ran = pinegate_os(&["fmt".as_ref(), "--json".as_ref(), odd.as_os_str()]);
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    let report = json(&ran);
    let changed: Vec<_> =
        report["files"].as_array().unwrap().iter().filter(|file| file["changed"] == true).collect();
    assert_eq!(changed.len(), 1);
    assert!(changed[0]["file"].as_str().unwrap().ends_with("p\u{fffd}/policies/tests/\u{fffd}.toml"));
}

#[test]
fn a_directory_is_formatted_with_its_tests_and_means_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let policies = policies(directory.path());
    fs::create_dir_all(policies.join("tests")).unwrap();
    fs::write(policies.join("tests/a.toml"), "[[case]]  \r\n").unwrap();
    fs::write(policies.join("README.md"), "left alone  \r\n").unwrap();
    let catalog = policies.join("catalog.toml");
    let text = fs::read_to_string(&catalog).unwrap();
    fs::write(&catalog, text.replace('\n', "\r\n")).unwrap();
    let grants = policies.join("grants.csv");
    let text = fs::read_to_string(&grants).unwrap();
    let quoted =
        |line: &str| if line.starts_with("p,") { format!("\"{line}\",,,\n") } else { format!("{line}\n") };
    fs::write(&grants, text.lines().map(quoted).collect::<String>()).unwrap();
    let shown = policies.to_str().unwrap();
    assert_eq!(pinegate(&["check", "--policies", shown]).exit, 1);
    let ran = pinegate(&["fmt", shown]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(policies.join("tests/a.toml")).unwrap(), "[[case]]\n");
    assert_eq!(fs::read_to_string(policies.join("README.md")).unwrap(), "left alone  \r\n");
    let of = |place: &str| {
        let lines = pinegate(&[
            "explain",
            "--policies",
            place,
            "--system",
            "sys:minzheng-aid",
            "--resource",
            "population.resident",
            "--purpose",
            "social-aid.review",
            "--param",
            "area=341002",
            "--json",
        ]);
        json(&lines)["fields"].clone()
    };
    assert_eq!(of(shown), of(POLICIES));
    assert_eq!(pinegate(&["fmt", "--check", "--policies", shown]).exit, 0);
}

#[test]
fn what_cannot_be_formatted_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, bytes: &[u8], exit: u8, says: &str| {
        let file = directory.path().join(name);
        fs::write(&file, bytes).unwrap();
        let ran = pinegate(&["fmt", file.to_str().unwrap()]);
        assert_eq!(ran.exit, exit, "{ran:?}");
        assert!(ran.out.contains(says) || ran.err.contains(says), "{ran:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    };
    check("a.csv", b"# caf\xe9 cr\xe8me\n", 1, "not certainly GBK");
    check("b.csv", b"g, a\0, b\n", 1, "NUL on line 1");
    check("c.toml", b"a = ?\n", 1, "toml-syntax");
    check("d.xlsx", b"PK", 2, "end with `.csv`");
    let ran = pinegate(&["fmt", directory.path().join("none.csv").to_str().unwrap()]);
    assert_eq!(ran.exit, 1);
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let ran = pinegate(&["fmt", empty.to_str().unwrap()]);
    assert!(ran.exit == 1 && ran.err.contains("none of its files"), "{ran:?}");
    let ran = pinegate(&["fmt", "--config", directory.path().join("none.toml").to_str().unwrap()]);
    assert_eq!(ran.exit, 64);
}

//! Files of compiled code: which are found, and which go.

use super::*;

/// A directory, and files in it that were last written so long before now.
struct Case {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), &Engine::default()).unwrap();
        Self { folder, cache }
    }

    fn file(&self, name: &str, age: Duration) {
        let file = std::fs::File::create(self.folder.path().join(DIRECTORY).join(name)).unwrap();
        file.set_modified(self.cache.opened - age).unwrap();
    }

    /// What is left once only code of these is used.
    fn pruned(&self, used: &[&Digest]) -> Vec<String> {
        self.cache.prune(&used.iter().map(|digest| digest.0.clone()).collect()).unwrap();
        let entries = std::fs::read_dir(self.folder.path().join(DIRECTORY)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

#[test]
fn what_nobody_uses_goes_unless_somebody_may_be_at_work_on_it() {
    let case = Case::new();
    let [used, gone] = [b"used", b"gone"].map(|component| Digest::of(component));
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
    let name = |digest: &Digest, code| case.cache.name(digest, code);
    let other = format!("{}-0123456789abcdef.cwasm", used.0);
    let [new, old] = ["1", "2"].map(|unique| format!("{}.{unique}.draft", gone.0));
    case.file(&name(&used, Code::Fast), hour);
    case.file(&name(&used, Code::Quick), hour);
    case.file(&name(&gone, Code::Quick), second);
    case.file(&other, second);
    case.file("notes.txt", second);
    case.file(&new, AT_WORK - second);
    case.file(&old, AT_WORK + second);
    let mut left = vec![name(&used, Code::Fast), name(&used, Code::Quick), new];
    left.sort_unstable();
    assert_eq!(case.pruned(&[&used]), left);

    // Since this was opened: of a version that is published meanwhile.
    case.file(&name(&gone, Code::Fast), Duration::ZERO);
    left.push(name(&gone, Code::Fast));
    left.sort_unstable();
    assert_eq!(case.pruned(&[&used]), left);
}

#[test]
fn code_that_is_not_kept_leaves_nothing_and_the_best_there_is_takes_the_place_of_the_other() {
    let case = Case::new();
    let digest = Digest::of(b"component");
    drop(case.cache.draft(&digest, Code::Quick).unwrap());
    assert!(case.pruned(&[]).is_empty());
    assert_eq!(case.cache.size(&digest, Code::Quick).unwrap(), None);
    case.cache.draft(&digest, Code::Quick).unwrap().keep().unwrap();
    assert_eq!(case.cache.size(&digest, Code::Quick).unwrap(), Some(0));
    assert_eq!(case.cache.size(&digest, Code::Fast).unwrap(), None, "it is no better than it is");
    case.cache.draft(&digest, Code::Fast).unwrap().keep().unwrap();
    assert_eq!(case.pruned(&[&digest]), [case.cache.name(&digest, Code::Fast)]);
    case.cache.remove(&digest).unwrap();
    assert_eq!(case.cache.size(&digest, Code::Quick).unwrap(), None);
}

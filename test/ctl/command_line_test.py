#!/usr/bin/env python3
"""manulctl as a person gets it wrong: what it says, where it says it, and its exit code.

Usage: command_line_test.py MANULCTL
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest

MANULCTL = sys.argv.pop(1)
SOURCE = pathlib.Path(__file__).resolve().parents[2]

POOL = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pool-a}\nspec: {cidr: 10.0.0.0/16}\n"


class Help:
    """The commands and options of the program, as its help texts tell them."""

    def __init__(self):
        self.known: dict[tuple[str, ...], tuple[set[str], set[str]]] = {}

    def of(self, words: tuple[str, ...]) -> tuple[set[str], set[str]]:
        if words not in self.known:
            text = subprocess.run([MANULCTL, *words, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
            options, _, commands = text.partition("\nSubcommands:\n")
            names = re.findall(r"^  (-\S+)", options, re.M)
            self.known[words] = (set(re.findall(r"^  ([a-z][a-z-]*)", commands, re.M)),
                                 {name.split("=")[0].split("{")[0] for line in names for name in line.split(",")})
        return self.known[words]

    def problem(self, line: str) -> str:
        """What of a command line in a text the program does not know."""
        words: tuple[str, ...] = ()
        tokens = [token.strip("[]") for token in line.split()]
        if tokens and tokens[0] in ("-c", "--config"):
            tokens = tokens[2:]
        if not tokens or tokens[0].startswith("-") or tokens[0].upper() == tokens[0]:
            return ""
        while tokens and self.of(words)[0]:
            if tokens[0] not in self.of(words)[0]:
                return "" if words and "|" in tokens[0] else f"no command '{' '.join((*words, tokens[0]))}'"
            words += (tokens.pop(0),)
        options = self.of(words)[1] | self.of(())[1]
        unknown = [t for t in tokens if re.match(r"-{1,2}[a-z]", t) and t.split("=")[0].rstrip(",.") not in options]
        return f"{' '.join(words)} has no {unknown}" if unknown else ""


def commands_in(text: str) -> list[str]:
    """The command lines in the code of a Markdown page: in blocks and between backquotes, without comments, quoted words
    and what stands behind a pipe."""
    blocks = re.findall(r"^```.*?$(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    found = []
    for code in lines + spans:
        match = re.match(r"\s*(?:[$#] )?(?:\*/10 .*? root )?manulctl (.*)", code)
        if match:
            rest = re.sub(r"'[^']*'|\"[^\"]*\"|\$\(.*\)", "X", match.group(1))
            found.append(re.split(r" # | {3,}|[<>;|&]", rest)[0])
    return found


class CommandLine(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="manul-command-line-")
        self.addCleanup(holder.cleanup)
        self.directory = pathlib.Path(holder.name)
        self.settings = self.file("settings.yaml", f"""
node: {{name: n1}}
run_dir: {self.directory}/run
state_dir: {self.directory}/state
log_dir: {self.directory}/log
datastore: {{path: {self.directory}/store.db}}
""")

    def file(self, name: str, content: str) -> str:
        path = self.directory / name
        path.write_text(content)
        return str(path)

    def run_it(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MANUL_")}
        return subprocess.run([MANULCTL, *arguments, "-c", self.settings], text=True, timeout=60, env=environment,
                              **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
                              | options)

    def fails(self, code: int, text: str, *arguments: str, **options):
        done = self.run_it(*arguments, **options)
        with self.subTest(arguments=arguments):
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertRegex(done.stderr, text)
            self.assertNotIn("terminate called", done.stderr)

    def works(self, *arguments: str, **options) -> str:
        done = self.run_it(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_wrong_word_is_named_with_what_was_meant(self):
        for text, arguments in {
            r"^manulctl: unknown command 'gte', did you mean 'get'\?\nThere are .*apply": ["gte", "pods"],
            r"^manulctl: name a command: .*apply": [],
            r"^manulctl: unknown option '--unknown-flag'": ["--unknown-flag"],
            r"^manulctl node: unknown command of node 'sttus', did you mean 'status'\?": ["node", "sttus"],
            r"^manulctl ipam: name a command of ipam: show, check": ["ipam"],
            r"^manulctl get: unknown option '--ouput', did you mean '--output'\?": ["get", "pods", "--ouput=yaml"],
            r"^manulctl validate: 'a.yaml' is not expected here; files are given with -f": ["validate", "a.yaml"],
            r"^manulctl apply: --filename is required\nRun `manulctl apply --help`": ["apply"],
            r"^manulctl get: give either KIND \[NAME...\] or -f FILE": ["get"],
            r"^manulctl bgp routes: --sent needs --peer ADDRESS": ["bgp", "routes", "--sent"],
            r"^manulctl ipam configure: --strictaffinity = maybe: expected true or false":
                ["ipam", "configure", "--strictaffinity", "maybe"],
            r"^manulctl policy trace: --source-port = http: expected a number":
                ["policy", "trace", "a", "b", "--source-port", "http"],
            r"--source-port = -1: expected a number that is not negative":
                ["policy", "trace", "a", "b", "--source-port", "-1"],
            r"--source-port = 99999: that is too large": ["policy", "trace", "a", "b", "--source-port=99999"],
            r"--max-blocks-per-host = 4.5: expected a whole number": ["ipam", "configure", "--max-blocks-per-host=4.5"],
        }.items():
            self.fails(2, text, *arguments)

    def test_every_command_that_a_page_names_exists_with_its_options(self):
        known = Help()
        pages = [*SOURCE.glob("docs/**/*.md"), SOURCE / "README.md", SOURCE / "CHANGELOG.md", SOURCE / "CONTRIBUTING.md"]
        lines = [(page.name, line) for page in pages for line in commands_in(page.read_text())]
        self.assertGreater(len(lines), 80)
        problems = [f"{page}: manulctl {line}: {known.problem(line)}" for page, line in lines if known.problem(line)]
        self.assertEqual(problems, [])
        self.assertIn("no command 'nod'", known.problem("nod status"))
        self.assertIn("--colour", known.problem("bgp peers --colour"))

    def test_help_and_version_are_found_by_every_usual_word(self):
        self.assertIn("Show objects", self.works("help", "get"))
        self.assertIn("Usage: manulctl node status", self.works("node", "status", "--help"))
        self.assertIn("Subcommands:", self.works("help"))
        self.assertRegex(self.works("--version"), r"^manulctl \d")
        self.assertRegex(self.works("version", "--client", "--allow-version-mismatch", "--log-level=debug"),
                         r"^Client Version: +v\d")
        os.remove(self.settings)  # validate reads none, as calicoctl's
        self.works("validate", "-f", "-", "--context=c", input=POOL, stdin=None)

    def test_help_lists_each_command_with_a_line_and_names_values(self):
        commands = self.works("--help").partition("\nSubcommands:\n")[2].rstrip().splitlines()
        self.assertEqual([line for line in commands if not re.match(r"  [a-z][a-z-]* +[A-Z]", line)], [])
        self.assertIn("Usage: manulctl get [OPTIONS] [KIND [NAME...]]\n", self.works("get", "--help"))
        self.assertIn("  -f,--filename FILE (required)\n", self.works("apply", "--help"))
        routes = self.works("bgp", "routes", "--help")
        self.assertIn("  --peer ADDRESS ", routes)
        self.assertNotRegex(routes, r"TEXT|UINT")

    def test_kinds_have_all_their_names(self):
        self.works("create", "-f", "-", input=POOL, stdin=None)
        for words in (["ippool"], ["IPPools"], ["pool"], ["ippools.projectcalico.org"], ["ippool.projectcalico.org"],
                      ["ippools.v3.projectcalico.org"], ["ippool/pool-a"], ["ippool.projectcalico.org/pool-a"],
                      ["tiers,pools"], ["ippool/pool-a", "tier/default"], ["pool", "pool-a"]):
            with self.subTest(words=words):
                self.assertIn("pool-a", self.works("get", *words))
        self.works("get", "netpol")
        self.fails(1, r"unknown kind 'ippol', did you mean 'ippool'\?; `manulctl explain` lists all", "get", "ippol")
        self.fails(1, r"unknown kind 'teir', did you mean 'tier'\?", "label", "teir", "a", "b=c")
        self.fails(1, r"unknown kind 'nodez', did you mean 'node", "delete", "nodez", "a")
        self.fails(1, r"expected KIND/NAME like the word before, not 'pool-b'", "get", "ippool/pool-a", "pool-b")
        self.fails(1, r"name the objects to delete: ippool NAME\.\.\.", "delete", "ippool")
        self.assertIn("FIELD", self.works("explain", "networkpolicies.networking.k8s.io.spec.ingress").upper())
        names = self.works("get", "ippools", "-o", "name").split()
        self.assertIn("deleted 1 'IPPool'", self.works("delete", *names))

    def test_the_value_of_an_option_may_stand_in_all_places(self):
        self.works("create", "-f=-", stdin=None, input="apiVersion: projectcalico.org/v3\nkind: NetworkSet\n"
                   "metadata: {name: s, namespace: a}\nspec: {nets: [10.0.0.0/8]}\n")
        for words in (["-n", "a"], ["-na"], ["-n=a"], ["--namespace", "a"], ["--namespace=a"]):
            for output in (["-o", "name"], ["-oname"], ["-o=name"], ["--output", "name"], ["--output=name"]):
                with self.subTest(words=words, output=output):
                    self.assertIn("networkset.projectcalico.org/s", self.works("get", "networksets", *words, *output))

    def test_an_object_is_found_by_name_in_all_namespaces(self):
        for ns in ("a", "b"):
            self.works("apply", "-f", "-", stdin=None, input="apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\n"
                       f"metadata: {{name: p, namespace: {ns}}}\nspec: {{selector: all()}}\n")
        self.assertRegex(self.works("get", "np", "p", "-A"), r"a +p +default\nb +p +default")
        self.fails(1, r"resource does not exist: NetworkPolicy\(q\) in any namespace", "get", "np", "q", "-A")

    def test_input_that_is_none_is_told_with_its_file_and_reason(self):
        (self.directory / "empty").mkdir()
        self.fails(1, r"no resources specified: \S+/empty has no \*\.yaml.*; -R looks", "apply", "-f",
                   str(self.directory / "empty"))
        self.fails(1, r"no resources specified: the input is empty", "apply", "-f", "-")
        self.fails(1, r"\S+/absent\.yaml: No such file or directory", "apply", "-f", str(self.directory / "absent.yaml"))
        self.fails(1, r"^manulctl: not valid; the input has 1 error:\n  \S+tab\.yaml:3: not YAML: a tab in the indentation",
                   "validate", "-f", self.file("tab.yaml", "kind: Tier\nmetadata:\n\tname: a\n"))
        self.fails(1, r"indent\.yaml:3: not YAML: illegal map value; is this line indented", "validate", "-f",
                   self.file("indent.yaml", "metadata:\n  name: a\n   labels: {}\n"))
        self.fails(1, r"/proc/self/mem: Input/output error", "validate", "-f", "/proc/self/mem")
        self.fails(1, r"the patch:1: not YAML", "patch", "tier", "default", "-p", "spec: {order: 5")

    def test_a_field_that_cannot_be_read_is_told_once(self):
        self.works("create", "-f", "-", input=POOL, stdin=None)
        done = self.run_it("patch", "ippool", "pool-a", "-p", "spec: {cidr: 10.0.0.1/8}")
        self.assertEqual((done.returncode, done.stderr.count("spec.cidr")), (1, 1), done.stderr)
        done = self.run_it("convert", "-f", self.file("pool.yaml", POOL.replace("10.0.0.0/16", "10.0.0.1/16")))
        self.assertEqual((done.returncode, done.stderr.count("spec.cidr")), (1, 1), done.stderr)

    def test_a_backup_that_is_none_is_told(self):
        self.works("get", "tiers")
        self.fails(1, r"^manulctl: \S+/no\.db is no SQLite database, and so no backup; nothing was changed$",
                   "datastore", "restore", self.file("no.db", "kind: List\n" * 100))

    def test_no_reports_are_told(self):
        self.assertEqual(self.works("node", "status", "--all"), "No node has reported its sessions.\n")

    def test_files_may_be_pipes(self):
        script = f"{MANULCTL} validate -c {self.settings} -f <(printf '%s' \"$POOL\")"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60,
                              env=os.environ | {"POOL": POOL})
        self.assertIn("Successfully validated 1 'IPPool'", done.stdout, done.stderr)

    def test_a_settings_file_that_cannot_be_read_is_told(self):
        for path, reason in {str(self.directory): "Is a directory", "/nonexistent": "No such file or directory"}.items():
            done = subprocess.run([MANULCTL, "-c", path, "get", "tiers"], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (1, f"manulctl: {path}: {reason}\n"))
        self.settings = self.file("bad.yaml", "node: [\n")
        self.fails(1, r"bad\.yaml:2: not YAML: ", "get", "tiers")

    def test_a_watch_prints_each_change_at_once_until_it_is_interrupted(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MANUL_")}
        command = [MANULCTL, "get", "ippools", "-w", "-o", "jsonpath={.metadata.name} {.spec.disabled}\n", "-c", self.settings]
        self.works("apply", "-f", "-", stdin=None, input=POOL)
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as watch:
                killer = threading.Timer(60, watch.kill)
                killer.start()
                self.assertRegex(watch.stdout.readline(), "^pool-a ")
                for value in ("true", "false"):
                    self.works("patch", "ippool", "pool-a", "-p", f"spec: {{disabled: {value}}}")
                    self.assertEqual(watch.stdout.readline(), f"pool-a {value}\n")
                watch.send_signal(signal_number)
                self.assertEqual((watch.wait(), watch.stdout.read(), watch.stderr.read()), (0, "", ""))
                killer.cancel()

    def test_diff_tells_by_its_exit_code(self):
        pool = self.file("pool.yaml", POOL)
        self.assertRegex(self.works("apply", "--dry-run=client", "-f", pool), r"^ippool.projectcalico.org/pool-a created \(dry run\)$")
        self.assertEqual(self.run_it("diff", "-f", pool).returncode, 1)
        self.works("apply", "-f", pool)
        self.assertEqual(self.works("diff", "-f", pool), "")
        self.assertIn("unchanged", self.works("apply", "--dry-run", "-f", pool))
        self.assertIn("applied 1", self.works("apply", "--dry-run=none", "-f", pool))
        self.assertEqual(self.run_it("diff", "-f", "/nonexistent").returncode, 2)
        self.fails(2, "--dry-run: maybe not in", "apply", "--dry-run=maybe", "-f", pool)
        many = "---\n".join(POOL.replace("pool-a", f"p{i}").replace("10.0", f"10.{i}") for i in range(100))
        self.fails(1, "--confirm-within takes at most 99 objects, these are 100", "apply", "--confirm-within", "2m", "-f",
                   self.file("many.yaml", many))
        self.fails(2, "--dry-run excludes --confirm-within", "apply", "--dry-run", "--confirm-within", "2m", "-f", pool)
        self.settings = self.file("other.yaml", "datastore: {type: none}\n")
        self.assertEqual(self.run_it("diff", "-f", pool).returncode, 2)

    def test_names_that_are_empty_are_told(self):
        for words in (["get", "tiers", ""], ["get", "tiers", "default", ""], ["delete", "ippool", ""], ["patch", "ippool", "", "-p", "{}"],
                      ["label", "ippool", "", "a=b"]):
            self.fails(1, r"the name of an object may not be empty", *words)

    def test_output_formats_that_are_none_are_told(self):
        for text, format_ in {r"^manulctl: unknown output format 'xml'; there are ps, wide, yaml": "xml",
                              r"^manulctl: jsonpath: '0}' is no index at character 11": "jsonpath={.items[0}",
                              r"^manulctl: go-template: 'nope' is not known": "go-template={{nope}}",
                              r"^manulctl: custom-columns: A: expected": "custom-columns=A:.b[",
                              r"^manulctl: go-template: nothing stands behind it": "go-template=",
                              r"^manulctl: jsonpath: nothing stands behind it": "jsonpath",
                              r"^manulctl: /nonexistent: No such file": "jsonpath-file=/nonexistent"}.items():
            self.fails(1, text, "get", "tiers", "-o", format_)
        columns = self.file("columns", "N        O\n.metadata.name {.spec.order}\n")
        self.assertRegex(self.works("get", "tier", "default", "-o", f"custom-columns-file={columns}"), r"^N +O\ndefault +1000000\n$")

    def test_diags_are_for_their_owner_alone_and_without_secrets(self):
        self.settings = self.file("secret.yaml", pathlib.Path(self.settings).read_text().replace(
            "datastore: {", "datastore: {etcd: {password: s3cret-word, endpoints: ['http://127.0.0.1:1']}, type: sqlite, "))
        archive = self.directory / "diags.tar"
        self.assertEqual(self.works("node", "diags", "--file", str(archive), "--since", "1h"), f"{archive}\n")
        self.assertEqual(archive.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(b"s3cret-word", archive.read_bytes())
        with tarfile.open(archive) as tar:
            parts = {pathlib.PurePath(member.name).name: tar.extractfile(member).read().decode() for member in tar.getmembers()}
        self.assertEqual(set(parts), {"versions.txt", "settings.txt", "node-status.txt", "checksystem.txt", "bgp-peers.json",
                                      "bgp-routes.txt", "ipamd.json", "kernel-settings.txt", "network.txt", "nftables.txt",
                                      "policy-verify.txt", "logs.txt"})
        self.assertRegex(parts["versions.txt"], r"^manulctl \d")
        self.assertIn("http://127.0.0.1:1", parts["settings.txt"])
        self.assertIn("the daemon is not running", parts["bgp-peers.json"])
        self.fails(1, r"diags\.tar: File exists", "node", "diags", "--file", str(archive))

    def test_the_version_is_polled_until_interrupted(self):
        self.fails(2, r"--poll: expected a time up to 24h", "version", "--poll", "soon")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MANUL_")}
        with subprocess.Popen([MANULCTL, "version", "--poll", "1s", "-c", self.settings], stdout=subprocess.PIPE, text=True,
                              env=environment) as poll:
            self.addCleanup(poll.kill)
            lines = [poll.stdout.readline() for _ in range(3)]
            poll.send_signal(signal.SIGINT)
            self.assertEqual(poll.wait(timeout=60), 0)
        self.assertRegex("".join(lines), r"Client Version: .*\nCluster Version: .*\nCluster Type: ")

    def test_output_that_is_lost_is_a_failure(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            self.fails(1, "not everything could be written", "get", "tiers", stdout=full)
        script = f"{MANULCTL} get tiers -c {self.settings} >&-"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not everything could be written", done.stderr)
        self.assertIn("default", self.works("get", "tiers"))

    def test_a_daemon_that_does_not_run_is_told(self):
        for daemon, words in {"bgpd": ["node", "status"], "felix": ["policy", "counters"]}.items():
            self.fails(1, rf"/run/{daemon}\.sock: nobody listens: the daemon is not running", *words)
        self.fails(1, r"manul-bgpd of this node: \S+ nobody listens", "bgp", "peers")

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_user_is_told_what_he_may_not(self):
        self.works("get", "tiers")
        self.directory.chmod(0o755)
        done = self.run_it("get", "tiers", user=65534, group=65534, extra_groups=[])
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"store\.db: the store cannot be opened: permission denied")


if __name__ == "__main__":
    unittest.main(verbosity=0)

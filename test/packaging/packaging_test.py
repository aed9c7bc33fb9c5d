#!/usr/bin/env python3
"""What an installation puts on a node: programs, units, pages, completion, settings; and that each of them is right."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(os.environ.get("MANUL_BUILD_DIR", "build")).resolve()
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="manul-installed-")
        done = run("meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet",
                   env=os.environ | {"DESTDIR": cls.directory.name})
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        cls.files = {path.name: path for path in pathlib.Path(cls.directory.name).rglob("*") if path.is_file()}

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_every_part_is_there(self):
        wanted = {"manulctl": "bin", "manul-bgpd": "sbin", "manul-felix": "sbin", "manul-ipamd": "sbin", "manul": "cni",
                  "manul-store-kubernetes.so": "manul", "manul-serve.so": "manul", "manul.target": "system", "manul-felix.service": "system",
                  "manulctl.1": "man1", "manul.yaml.5": "man5", "manul-bgpd.8": "man8", "manul.yaml": "manul"}
        if list(BUILD.glob("config/store/manul-store-etcd.so")):
            wanted["manul-store-etcd.so"] = "manul"
        for name, folder in wanted.items():
            matches = [p for p in pathlib.Path(self.directory.name).rglob(name) if p.parent.name == folder]
            self.assertTrue(matches, f"{name} is not installed in a folder {folder}")

    def test_every_daemon_says_its_version_and_how_to_use_it(self):
        for name in ("manul-bgpd", "manul-felix", "manul-ipamd"):
            version = run(str(self.files[name]), "--version")
            self.assertEqual((version.returncode, version.stdout.split()[0]), (0, name))
            self.assertIn("--config FILE", run(str(self.files[name]), "--help").stdout)
            wrong = run(str(self.files[name]), "--colour")
            self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
            self.assertTrue(wrong.stderr.startswith(f"{name}: unknown argument --colour\nUsage: "), wrong.stderr)
            self.assertIn("a file must follow --config", run(str(self.files[name]), "--config").stderr)
            self.assertEqual(run(str(self.files[name]), "--config=/nonexistent").returncode, 2)
            missing = run(str(self.files[name]), "--config", "/nonexistent/manul.yaml")
            self.assertEqual(missing.returncode, 2)
            self.assertIn("/nonexistent/manul.yaml", missing.stderr)

    def test_units_start_the_installed_daemons(self):
        for name in ("manul-bgpd", "manul-felix", "manul-ipamd"):
            unit = self.files[name + ".service"].read_text()
            program = re.search(r"^ExecStart=(\S+)$", unit, re.M).group(1)
            self.assertTrue((pathlib.Path(self.directory.name) / program.lstrip("/")).exists(), program)
            self.assertIn(name + ".service", self.files["manul.target"].read_text())

    def test_the_page_of_settings_and_the_example_name_settings_that_exist(self):
        known = set(re.findall(r'^    \{"([a-z0-9_.]+)", (?:MANUL_|set_)', (SOURCE / "config/settings.cpp").read_text(), re.M))
        self.assertGreater(len(known), 20)
        page = (SOURCE / "packaging/man/manul.yaml.5").read_text()
        described = {name for line in re.findall(r'^\.BR "([^"]+)"', page, re.M)
                     for name in line.replace("\\-", "-").split(", ") if "." in name or "_" in name}
        self.assertEqual(described, known)
        example = "\n".join(line[1:] for line in self.files["manul.yaml"].read_text().splitlines() if line.startswith("#")
                            and not line.startswith("# "))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(example)
            file.flush()
            done = run(str(self.files["manulctl"]), "-c", file.name, "version", "--client")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_operators_read_and_apply_is_there(self):
        for folder, place in {"docs/operators": "doc/manul/operators", "docs/examples": "doc/manul/examples",
                              "config/kubernetes": "manul/kubernetes"}.items():
            for source in (SOURCE / folder).iterdir():
                found = [p for p in pathlib.Path(self.directory.name).rglob(source.name) if place in str(p.parent)]
                self.assertTrue(found, f"{folder}/{source.name} is not installed in share/{place}")

    def test_scripts_of_the_package_know_every_unit(self):
        units = {path.stem for path in (SOURCE / "packaging/systemd").glob("*.service")}
        for script in ("postinst", "prerm"):
            text = (SOURCE / "packaging/debian" / script).read_text()
            self.assertEqual({unit for unit in units if unit in text}, units, script)

    def commands(self, *words: str):
        """Every command without commands of its own, with its options, as the program's help tells."""
        text = run(str(self.files["manulctl"]), *words, "--help").stdout
        options, _, commands = text.partition("\nSubcommands:\n")
        names = re.findall(r"^  ([a-z][a-z-]*)", commands, re.M)
        if not names:
            yield words, {name.split("=")[0].split("{")[0] for line in re.findall(r"^  (-\S+)", options, re.M) for name in line.split(",")}
        for name in names:
            yield from self.commands(*words, name)

    def test_page_and_completion_know_every_command_with_every_option(self):
        page = self.files["manulctl.1"].read_text().replace("\\-", "-")
        script = (f"source '{SOURCE}/packaging/completion/manulctl.bash'; COMP_WORDS=(\"$@\"); "
                  "COMP_CWORD=$(($# - 1)); _manulctl; echo \"${COMPREPLY[@]}\"")

        def complete(*words: str) -> list[str]:
            return run("bash", "-c", script, "bash", str(self.files["manulctl"]), *words).stdout.split()

        found = list(self.commands())
        self.assertGreater(len(found), 35)
        for words, options in found:
            with self.subTest(command=words):
                section = page.partition(f".SS manulctl {' '.join(words)} ")[2].partition("\n.S")[0]
                written = {name for line in re.findall(r"^\\fB(-\S+)", section, re.M) for name in line.split(",")}
                self.assertEqual({name.split("=")[0].split("{")[0].split("\\")[0] for name in written} | {"-h", "--help"}, options)
                self.assertIn(words[-1], complete(*words[:-1], words[-1][:2]))
                self.assertLessEqual(options - {"-h"}, set(complete(*words, "-")) | {"-h"})
        self.assertIn("globalnetworkpolicies", complete("get", "global"))
        self.assertIn("globalnetworkpolicies", complete("annotate", "global"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

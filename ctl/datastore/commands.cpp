#include "ctl/datastore/commands.hpp"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "ctl/datastore/backup.hpp"
#include "ctl/datastore/migrate.hpp"

namespace manul::ctl {

namespace {

void add_migrate(CLI::App& datastore, Command& chosen) {
    CLI::App* migrate =
        datastore.add_subcommand("migrate", "Move everything into another datastore")->require_subcommand(1);
    migrate
        ->add_subcommand("lock",
                         "Lock the datastore.\n"
                         "The daemons keep what is in force and write nothing; new pods are refused.")
        ->callback([&chosen] { chosen = {lock_datastore, Needs::datastore}; });
    migrate->add_subcommand("unlock", "End a lock")->callback([&chosen] {
        chosen = {unlock_datastore, Needs::datastore};
    });

    CLI::App* out =
        migrate->add_subcommand("export",
                                "Write all objects and all address allocations of a locked datastore to a file.\n"
                                "Secrets have their real values in it.");
    const auto to = std::make_shared<ExportOptions>();
    out->add_option("-f,--filename", to->file, "write to this file, 0600 (default: standard output)")
        ->type_name("FILE");
    out->add_option("-o,--output", to->format, "yaml, or json, which is read faster")->capture_default_str();
    out->add_flag("--unlocked", to->unlocked,
                  "also when the datastore is not locked; objects may then be of different moments");
    out->callback([&chosen, to] {
        chosen = {[to](const Context& context) { return export_datastore(context, *to); }, Needs::datastore};
    });

    CLI::App* in = migrate->add_subcommand(
        "import",
        "Fill an empty datastore from a file.\n"
        "The file is what `export` wrote, here or with calicoctl; or Calico's etcd, as `etcdctl get --prefix /calico "
        "-w\n"
        "json` prints it; or Calico's custom resources, as `kubectl get -o yaml` prints them. All of it is checked "
        "before\n"
        "anything is written; the datastore is locked from the first write on, and stays so until `unlock`. An import\n"
        "that was interrupted is continued by the same command.");
    const auto from = std::make_shared<ImportOptions>();
    in->add_option("-f,--filename", from->file, "the file, or - for standard input")->required()->type_name("FILE");
    in->add_option("--rename-node", from->nodes, "the node has another name now (repeatable)")->type_name("OLD=NEW");
    in->add_flag("--dry-run", from->dry_run, "check only");
    in->callback([&chosen, from] {
        chosen = {[from](const Context& context) { return import_datastore(context, *from); }, Needs::datastore};
    });
}

}  // namespace

void add_datastore_commands(CLI::App& app, Command& chosen) {
    CLI::App* datastore = app.add_subcommand("datastore", "The datastore as a whole")->require_subcommand(1);
    add_migrate(*datastore, chosen);

    CLI::App* backup = datastore->add_subcommand("backup",
                                                 "Copy the embedded store into a file (mode 0600) while it is in use.\n"
                                                 "The copy is a consistent snapshot, complete or not written at all.");
    const auto to = std::make_shared<std::string>();
    backup->add_option("file", *to, "the new file")->required()->type_name("FILE");
    backup->callback(
        [&chosen, to] { chosen = {[to](const Context& context) { return back_up(context, *to); }, Needs::settings}; });

    CLI::App* take_back =
        datastore->add_subcommand("restore",
                                  "Replace everything in the embedded store by a backup.\n"
                                  "Runs in one transaction; daemons may keep running and will list everything again.\n"
                                  "Refused while endpoints exist that the backup does not have.");
    const auto from = std::make_shared<std::string>();
    const auto force = std::make_shared<bool>(false);
    take_back->add_option("file", *from, "the backup")->required()->type_name("FILE");
    take_back->add_flag("--force", *force, "even if endpoints would be lost: their pods are then without policy");
    take_back->callback([&chosen, from, force] {
        chosen = {[from, force](const Context& context) { return restore(context, *from, *force); }, Needs::settings};
    });
}

}  // namespace manul::ctl

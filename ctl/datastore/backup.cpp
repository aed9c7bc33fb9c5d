#include "ctl/datastore/backup.hpp"

#include <string>

#include <fmt/core.h>

#include "config/settings.hpp"
#include "config/store/sqlite_backup.hpp"

namespace manul::ctl {

namespace {

bool is_embedded(const Context& context) { return context.settings.datastore.type == config::DatastoreType::sqlite; }

ExitCode refuse_other(const Context& context) {
    return context.fail(fmt::format(
        "this is for the embedded store (datastore.type: sqlite), not for {}; `manulctl datastore migrate export` "
        "writes the content of any datastore",
        to_string(context.settings.datastore.type)));
}

}  // namespace

ExitCode back_up(const Context& context, const std::string& file) {
    if (!is_embedded(context)) {
        return refuse_other(context);
    }
    const auto report = store::back_up_sqlite(context.settings.datastore.path, file);
    if (!report) {
        return context.fail(describe(report.error()));
    }
    context.print(fmt::format("Saved {} resource(s) at revision {} to {}\n", report->objects, report->revision, file));
    if (!report->damaged.empty()) {
        std::string text = "objects are damaged in the store, and so in the copy, which cannot be restored:";
        for (const std::string& name : report->damaged) {
            text += "\n  " + name;
        }
        return context.fail(text + "\ndelete them, create them again from your files, and make another backup");
    }
    return ExitCode::ok;
}

ExitCode restore(const Context& context, const std::string& file, bool force) {
    if (!is_embedded(context)) {
        return refuse_other(context);
    }
    const std::string& path = context.settings.datastore.path;
    const auto report = store::restore_sqlite(path, file, {.force = force});
    if (!report) {
        const bool store_damaged =
            report.error().code == store::StoreError::Code::corrupt && report.error().message.starts_with(path + ":");
        return context.fail(describe(report.error()) +
                            (store_damaged
                                 ? fmt::format("\nput it aside and restore into a new file: mkdir {0}.damaged "
                                               "&& mv {0} {0}-wal {0}-shm {0}.damaged/",
                                               path)
                                 : ""));
    }
    context.print(
        fmt::format("Restored {} resource(s); the store is at revision {} now\n", report->objects, report->revision));
    return ExitCode::ok;
}

}  // namespace manul::ctl

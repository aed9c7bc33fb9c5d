#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "config/codec/json.hpp"
#include "config/codec/yaml.hpp"
#include "config/store/obey_lock.hpp"
#include "ctl/datastore/migrate.hpp"
#include "ctl/datastore/transfer.hpp"
#include "ctl/verbs/input.hpp"

namespace manul::ctl {

namespace {

/// Whole, flushed and the owner's alone, or not there.
Result<void> write_file(const std::string& path, std::string_view text) {
    const std::string temporary = path + ".part";
    ::unlink(temporary.c_str());
    UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    bool done = static_cast<bool>(file);
    while (done && !text.empty()) {
        const ssize_t count = ::write(file.get(), text.data(), text.size());
        done = count > 0;
        text.remove_prefix(done ? static_cast<std::size_t>(count) : 0);
    }
    done = done && ::fsync(file.get()) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0;
    if (!done) {
        const int reason = errno;
        ::unlink(temporary.c_str());
        return fail(path + ": " + std::error_code(reason, std::generic_category()).message());
    }
    return {};
}

struct Content {
    std::vector<store::Object> objects;
    std::vector<std::string> damaged;
};

store::StoreResult<Content> read_all(const Context& context) {
    std::vector<model::Kind> kinds;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (is_moved(info.kind, context.settings.datastore.type)) {
            kinds.push_back(info.kind);
        }
    }
    std::ranges::stable_sort(kinds, {}, dependency_rank);
    Content content;
    for (const model::Kind kind : kinds) {
        auto listing = context.store->list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        if (!listing) {
            return std::unexpected(std::move(listing).error());
        }
        std::ranges::move(listing->items, std::back_inserter(content.objects));
        for (const store::DamagedObject& one : listing->damaged) {
            content.damaged.push_back(one.error.message);
        }
    }
    return content;
}

Result<std::string> print(const Context& context, const Content& content, const std::string& format) {
    const bool yaml = format == "yaml";
    std::string text = yaml ? fmt::format("# manulctl {}: {} objects of datastore {}\n", MANUL_VERSION,
                                          content.objects.size(), to_string(context.settings.datastore.type))
                            : R"({"apiVersion":"v1","kind":"List","items":[)";
    std::string_view separator = "";
    for (const store::Object& object : content.objects) {
        // What only this datastore knows would contradict what the next one says. Who an object is goes along.
        const auto document = codec::with_stored_fields(
            *object.document, {.resource_version = "", .uid = {}, .creation_timestamp = {}, .generation = {}});
        if (!document) {
            return fail(object.key.to_string() + ": " + document.error().message);
        }
        if (!yaml) {
            text += std::string(std::exchange(separator, ",")) + "\n" + *document;
            continue;
        }
        const auto printed = codec::to_yaml(*document);
        if (!printed) {
            return fail(object.key.to_string() + ": " + printed.error().message);
        }
        text += "---\n" + *printed;
    }
    return text + (yaml ? "" : "\n]}\n");
}

}  // namespace

ExitCode export_datastore(const Context& context, const ExportOptions& options) {
    if (options.format != "yaml" && options.format != "json") {
        context.fail("unknown output format '" + options.format + "'; there are yaml and json");
        return ExitCode::usage;
    }
    const auto locked = store::is_locked(*context.store);
    if (!locked) {
        return context.fail(describe(locked.error()));
    }
    if (!*locked && !options.unlocked) {
        return context.fail(
            "the datastore is not locked, so it may change while it is read: run `manulctl datastore migrate lock` "
            "first (or give --unlocked, for a look)");
    }
    const auto content = read_all(context);
    if (!content) {
        return context.fail(describe(content.error()));
    }
    if (!content->damaged.empty()) {
        std::string text = "nothing was written: objects are damaged in the datastore, and would be missing";
        for (const std::string& one : content->damaged) {
            text += "\n  " + one;
        }
        return context.fail(text);
    }
    const auto text = print(context, *content, options.format);
    if (!text) {
        return context.fail(text.error().message);
    }
    if (options.file.empty() || options.file == "-") {
        context.print(*text);
        return ExitCode::ok;
    }
    if (const auto written = write_file(options.file, *text); !written) {
        return context.fail(written.error().message);
    }
    context.print(fmt::format("Exported {} resource(s) to {}\n", content->objects.size(), options.file));
    return ExitCode::ok;
}

}  // namespace manul::ctl

#include "ctl/verbs/input.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/read_file.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"

namespace manul::ctl {

namespace {

namespace fs = std::filesystem;

bool is_manifest(const fs::path& path) {
    const std::string extension = path.extension().string();
    return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

template <class Iterator>
void collect(const fs::path& directory, std::vector<std::string>& files, std::error_code& ec) {
    for (auto entry = Iterator(directory, ec); !ec && entry != Iterator(); entry.increment(ec)) {
        std::error_code type;
        if (entry->is_regular_file(type) && is_manifest(entry->path())) {
            files.push_back(entry->path().string());
        }
    }
}

Result<std::vector<std::string>> files_of(const std::string& path, bool recursive) {
    std::error_code ec;
    if (path == "-" || !fs::is_directory(path, ec)) {
        return std::vector{path};
    }
    std::vector<std::string> files;
    if (recursive) {
        collect<fs::recursive_directory_iterator>(path, files, ec);
    } else {
        collect<fs::directory_iterator>(path, files, ec);
    }
    if (ec) {
        return fail(path + ": " + ec.message());
    }
    std::ranges::sort(files);
    return files;
}

/// What `-n` contradicts, in words; nothing when it does not.
std::optional<std::string> contradiction(const model::KindInfo& kind, const codec::Header& header,
                                         const std::optional<std::string>& wanted) {
    if (!wanted || header.ns == *wanted) {
        return std::nullopt;
    }
    if (!kind.namespaced) {
        return std::string(kind.name) + " is not namespaced: leave out -n";
    }
    return "metadata.namespace is '" + header.ns + "' but -n says '" + *wanted + "'";
}

/// Whether the finding is about which object is meant.
bool is_about_identity(const model::Finding& finding) {
    return finding.path.empty() || finding.path == "metadata" || finding.path.starts_with("metadata.name") ||
           finding.path.starts_with("apiVersion") || finding.path.starts_with("kind");
}

void add_findings(Input& input, const codec::LoadResult& loaded, Purpose purpose) {
    for (const model::Finding& finding : loaded.all_findings()) {
        if (purpose == Purpose::name && !is_about_identity(finding)) {
            continue;
        }
        const bool error = finding.severity == model::Finding::Severity::error;
        (error ? input.errors : input.warnings).push_back(finding.to_string());
    }
}

std::string without_uid(const std::string& document) {
    auto tree = codec::parse_json(document);
    if (!tree) {
        return document;
    }
    if (codec::Tree* metadata = tree->find("metadata")) {
        metadata->erase("uid");
    }
    return codec::to_json(*tree);
}

void add_object(Input& input, codec::LoadedObject object, const std::string& path, const InputOptions& options) {
    const std::string origin = path + ":" + std::to_string(object.line);
    const auto header = codec::read_header(object.document);
    if (!header) {
        input.errors.push_back(origin + ": " + header.error().message);
        return;
    }
    if (const auto problem = contradiction(model::info(object.kind), *header, options.ns)) {
        input.errors.push_back(origin + ": " + *problem);
        return;
    }
    // Of another cluster, or of a life before: who gives no version means the object of that name, as with calicoctl.
    const bool names_life = header->resource_version.empty() && object.document.find(R"("uid":)") != std::string::npos;
    input.objects.push_back(
        InputObject{.key = model::Key{object.kind, header->ns, header->name},
                    .document = names_life ? without_uid(object.document) : std::move(object.document),
                    .resource_version = header->resource_version,
                    .origin = origin});
}

}  // namespace

Result<std::string> read_text(const Context& context, const std::string& path, std::uintmax_t limit) {
    if (path == "-") {
        return context.read_standard_input();
    }
    return read_file(path, limit);
}

Result<std::vector<std::string>> input_files(const InputOptions& options) {
    std::vector<std::string> all;
    for (const std::string& path : options.paths) {
        auto files = files_of(path, options.recursive);
        if (!files) {
            return files;
        }
        std::ranges::move(*files, std::back_inserter(all));
    }
    return all;
}

Input read_input(const Context& context, const InputOptions& options, Purpose purpose) {
    Input input;
    for (const std::string& path : options.paths) {
        auto files = files_of(path, options.recursive);
        if (!files) {
            input.errors.push_back(files.error().message);
            continue;
        }
        if (files->empty()) {
            input.emptiness = path + " has no *.yaml, *.yml or *.json in it" +
                              (options.recursive ? "" : "; -R looks in the directories below it as well");
        }
        for (const std::string& file : *files) {
            auto text = read_text(context, file, kLargestFile);
            if (!text) {
                input.errors.push_back(text.error().message);
                continue;
            }
            codec::LoadResult loaded =
                codec::load_yaml(*text, file == "-" ? "standard input" : file, options.ns.value_or("default"));
            add_findings(input, loaded, purpose);
            for (codec::LoadedObject& object : loaded.objects) {
                if (purpose == Purpose::name || object.ok()) {
                    add_object(input, std::move(object), file == "-" ? "standard input" : file, options);
                }
            }
        }
    }
    return input;
}

/// What was wrong with the input, or nothing when the work may begin.
std::optional<ExitCode> refuse_input(const Context& context, const Input& input, bool skip_empty,
                                     std::string_view outcome) {
    for (const std::string& warning : input.warnings) {
        context.err(warning + "\n");
    }
    if (!input.errors.empty()) {
        std::string text = std::string(outcome) + "; the input has " + std::to_string(input.errors.size()) +
                           (input.errors.size() == 1 ? " error:" : " errors:");
        for (const std::string& error : input.errors) {
            text += "\n  " + error;
        }
        return context.fail(text);
    }
    if (input.objects.empty()) {
        if (skip_empty) {
            context.print("No resources specified\n");
            return ExitCode::ok;
        }
        return context.fail("no resources specified: " +
                            (input.emptiness.empty() ? std::string("the input is empty") : input.emptiness));
    }
    return std::nullopt;
}

int dependency_rank(model::Kind kind) noexcept {
    switch (kind) {
        case model::Kind::namespace_:
            return 0;
        case model::Kind::cluster_information:
        case model::Kind::felix_configuration:
        case model::Kind::bgp_configuration:
        case model::Kind::bgp_filter:
        case model::Kind::ipam_configuration:
        case model::Kind::node:
        case model::Kind::ip_pool:
        case model::Kind::ip_reservation:
        case model::Kind::profile:
        case model::Kind::role:
        case model::Kind::cluster_role:
        case model::Kind::secret:
        case model::Kind::service_account:
        case model::Kind::tier:
            return 1;
        case model::Kind::network_set:
        case model::Kind::global_network_set:
        case model::Kind::pod:
            return 2;
        default:
            return 3;
    }
}

}  // namespace manul::ctl

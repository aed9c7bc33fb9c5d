#include <cstddef>
#include <string>

#include "config/codec/explain.hpp"
#include "config/codec/json.hpp"
#include "config/model/kind.hpp"
#include "ctl/output/table.hpp"
#include "ctl/verbs/kind_words.hpp"
#include "ctl/verbs/verbs.hpp"

namespace manul::ctl {

namespace {

ExitCode list_kinds(const Context& context) {
    Table table({"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"});
    for (const model::KindInfo& row : model::all_kinds()) {
        table.add({std::string(row.plural), std::string(row.short_names), model::api_version(row.kind),
                   row.namespaced ? "true" : "false", std::string(row.name)});
    }
    context.print(table.plain());
    return ExitCode::ok;
}

}  // namespace

ExitCode explain_kind(const Context& context, const std::string& path) {
    if (path.empty()) {
        return list_kinds(context);
    }
    // The longest beginning that is a kind: "networkpolicies.networking.k8s.io.spec" has dots in its kind, too.
    std::size_t end = path.size();
    auto kind = kind_named(path);
    while (!kind && end != std::string::npos) {
        end = end == 0 ? std::string::npos : path.rfind('.', end - 1);
        kind = kind_named(path.substr(0, end));
    }
    if (!kind) {
        return context.fail(kind_named(path.substr(0, path.find('.'))).error().message);
    }
    const std::string field = end < path.size() ? path.substr(end + 1) : std::string();
    const auto text = codec::explain(*kind, field);
    if (!text) {
        return context.fail(text.error().message);
    }
    context.print(*text);
    return ExitCode::ok;
}

}  // namespace manul::ctl

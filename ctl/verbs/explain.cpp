#include <cstddef>
#include <string>

#include "config/codec/explain.hpp"
#include "config/codec/json.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/kind.hpp"
#include "ctl/output/table.hpp"
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
    const std::size_t dot = path.find('.');
    auto kind = model::find_kind_by_alias(path);  // "networkpolicies.networking.k8s.io" has dots of its own
    std::string field;
    if (!kind) {
        kind = model::find_kind_by_alias(path.substr(0, dot));
        field = dot == std::string::npos ? std::string() : path.substr(dot + 1);
    }
    if (!kind) {
        return context.fail("unknown kind '" + path + "'; `manulctl explain` lists all");
    }
    const auto text = codec::explain(*kind, field);
    if (!text) {
        return context.fail(text.error().message);
    }
    context.print(*text);
    return ExitCode::ok;
}

ExitCode print_version(const Context& context, bool client_only) {
    context.print("Client Version:    v" MANUL_VERSION "\n");
    if (client_only) {
        return ExitCode::ok;
    }
    const auto object = context.store->get({model::Kind::cluster_information, "", "default"});
    if (!object) {
        return context.fail("cluster information is not available: " + describe(object.error()));
    }
    const auto decoded = codec::decode(model::Kind::cluster_information, *object->document, codec::Mode::lenient);
    if (const auto view = model::as<model::ClusterInformation>(decoded.resource)) {
        const std::string& version = view->spec.calico_version;
        context.print("Cluster Version:   " + (version.empty() ? std::string("v" MANUL_VERSION) : version) + "\n");
        context.print("Cluster Type:      " + view->spec.cluster_type + "\n");
    }
    return ExitCode::ok;
}

}  // namespace manul::ctl

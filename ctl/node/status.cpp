#include "ctl/node/status.hpp"

#include <algorithm>
#include <chrono>
#include <expected>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/control.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/enum_names.hpp"
#include "ctl/output/document.hpp"
#include "ctl/output/table.hpp"

namespace manul::ctl {

namespace {

namespace json = boost::json;
using model::ReportedSession;
using model::SessionState;
using model::SessionType;
using model::text_of;

constexpr std::chrono::seconds kPatience{5};

struct NodeSessions {
    std::string node;
    std::vector<ReportedSession> sessions;
};

std::string_view type_text(SessionType type) {
    switch (type) {
        case SessionType::mesh:
            return "node-to-node mesh";
        case SessionType::node:
            return "node specific";
        case SessionType::global:
            break;
    }
    return "global";
}

/// calicoctl's words: `up` is established, `start` is on its way.
std::string_view progress(SessionState state) {
    if (state == SessionState::established) {
        return "up";
    }
    return state == SessionState::idle ? "down" : "start";
}

std::string info_text(const ReportedSession& session) {
    std::string text(text_of(session.state));
    if (session.state != SessionState::established && !session.last_error.empty()) {
        text += " (" + session.last_error + ")";
    }
    return text;
}

std::string table_of(std::string_view family, const std::vector<ReportedSession>& sessions) {
    Table table({"PEER ADDRESS", "PEER TYPE", "STATE", "SINCE", "INFO"});
    for (const ReportedSession& session : sessions) {
        if (session.family.find(family) != std::string::npos) {
            table.add({session.peer, std::string(type_text(session.type)), std::string(progress(session.state)),
                       session.since, info_text(session)});
        }
    }
    if (table.empty()) {
        return "No " + std::string(family) + " peers found.\n";
    }
    return std::string(family) + " BGP status\n" + table.boxed();
}

/// The report as the daemon itself gives it now: the same JSON as the spec of its NodeReport.
Result<NodeSessions> ask_daemon(const Context& context) {
    MANUL_TRY(const json::value answer,
              control::call(context.settings.run_dir + "/bgpd.sock", {{"op", "report"}}, kPatience));
    const json::object document{{"apiVersion", "manul.io/v1"},
                                {"kind", "NodeReport"},
                                {"metadata", {{"name", context.settings.node_name + ".bgpd"}}},
                                {"spec", answer}};
    const auto decoded = codec::decode(model::Kind::node_report, json::serialize(document), codec::Mode::lenient);
    const auto report = model::as<model::NodeReport>(decoded.resource);
    if (!report) {
        return fail("manul-bgpd gave an answer that this manulctl does not understand");
    }
    return NodeSessions{context.settings.node_name, report->spec.sessions};
}

/// What people must hear who look after the node, whatever they look for.
void warn_of_datastore(const Context& context) {
    for (const auto& [daemon, socket, in_force] : {std::tuple("manul-felix", "/felix.sock", "policy is"),
                                                   std::tuple("manul-bgpd", "/bgpd.sock", "sessions and routes are")}) {
        const auto answer = control::call(context.settings.run_dir + socket, {{"op", "status"}}, kPatience);
        const json::object* const status = answer ? answer->if_object() : nullptr;
        const json::value* const lost = status == nullptr ? nullptr : status->if_contains("storeLost");
        const json::value* const problem = status == nullptr ? nullptr : status->if_contains("storeProblem");
        if (lost != nullptr && lost->is_bool() && lost->get_bool()) {
            context.err(std::string(daemon) + ": an empty datastore is in the place of the one whose " + in_force +
                        " in force; they stay in force until the datastore is restored, or there is something in the "
                        "new one\n");
        } else if (problem != nullptr && problem->is_string() && !problem->get_string().empty()) {
            context.err(std::string(daemon) + ": changes in the datastore do not arrive, what is in force stays: " +
                        std::string(problem->get_string()) + "\n");
        }
    }
}

std::expected<std::vector<NodeSessions>, store::StoreError> read_reports(const Context& context,
                                                                         const StatusOptions& options) {
    MANUL_TRY(const store::Listing listing,
              context.store->list({.kind = model::Kind::node_report, .ns = std::nullopt, .name_prefix = {}}));
    std::vector<NodeSessions> nodes;
    for (const store::Object& object : listing.items) {
        const auto decoded = codec::decode(model::Kind::node_report, *object.document, codec::Mode::lenient);
        const auto report = model::as<model::NodeReport>(decoded.resource);
        if (!report || report->spec.daemon != model::ReportDaemon::bgpd) {
            continue;
        }
        if (options.all || std::ranges::find(options.nodes, report->spec.node) != options.nodes.end()) {
            nodes.push_back({report->spec.node, report->spec.sessions});
        }
    }
    std::ranges::sort(nodes, {}, &NodeSessions::node);
    return nodes;
}

json::array as_json(const std::vector<NodeSessions>& nodes) {
    json::array list;
    for (const NodeSessions& node : nodes) {
        json::array sessions;
        for (const ReportedSession& session : node.sessions) {
            json::object row{{"peer", session.peer},
                             {"family", session.family},
                             {"type", text_of(session.type)},
                             {"state", text_of(session.state)},
                             {"since", session.since}};
            if (session.as_number) {
                row["asNumber"] = session.as_number->number();
            }
            if (!session.last_error.empty()) {
                row["lastError"] = session.last_error;
            }
            sessions.emplace_back(std::move(row));
        }
        list.emplace_back(json::object{{"node", node.node}, {"sessions", std::move(sessions)}});
    }
    return list;
}

ExitCode print(const Context& context, const std::vector<NodeSessions>& nodes, const StatusOptions& options) {
    if (!options.format.empty()) {
        return print_document(context, as_json(nodes), options.format);
    }
    for (const NodeSessions& node : nodes) {
        context.print("Node " + node.node + "\n" + session_tables(node.sessions) + "\n");
    }
    return ExitCode::ok;
}

}  // namespace

std::string session_tables(const std::vector<ReportedSession>& sessions) {
    return table_of("IPv4", sessions) + table_of("IPv6", sessions);
}

ExitCode node_status(const Context& context, const StatusOptions& options) {
    if (!options.all && options.nodes.empty()) {
        warn_of_datastore(context);
        const auto local = ask_daemon(context);
        if (!local) {
            return context.fail("manul-bgpd of this node: " + local.error().message);
        }
        return print(context, {*local}, options);
    }
    const auto nodes = read_reports(context, options);
    if (!nodes) {
        return context.fail(describe(nodes.error()));
    }
    for (const std::string& wanted : options.nodes) {
        if (std::ranges::find(*nodes, wanted, &NodeSessions::node) == nodes->end()) {
            return context.fail("node '" + wanted + "' has not reported its sessions");
        }
    }
    if (nodes->empty() && options.format.empty()) {
        context.print("No node has reported its sessions.\n");
        return ExitCode::ok;
    }
    return print(context, *nodes, options);
}

}  // namespace manul::ctl

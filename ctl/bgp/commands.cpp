#include "ctl/bgp/commands.hpp"

#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "ctl/bgp/control.hpp"
#include "ctl/bgp/show.hpp"
#include "ctl/verbs/input_options.hpp"

namespace manul::ctl {

namespace {

constexpr const char* kJsonOrYaml = "json or yaml instead of a table";

void add_questions(CLI::App& bgp, Command& chosen) {
    CLI::App* peers = bgp.add_subcommand("peers", "Show sessions: state, routes in and out, last error, capabilities");
    const auto peer = std::make_shared<BgpPeersOptions>();
    peers->add_option("peer", peer->peer, "address of one peer, to show all about it")->type_name("ADDRESS");
    peers->add_option("-o,--output", peer->format, kJsonOrYaml);
    peers->callback([&chosen, peer] {
        chosen = {[peer](const Context& context) { return bgp_peers(context, *peer); }, Needs::settings};
    });

    CLI::App* routes = bgp.add_subcommand("routes", "Show routes, with the reason why each is used or is not");
    const auto query = std::make_shared<BgpRoutesOptions>();
    routes->add_option("prefix", query->prefix, "only this prefix and longer ones inside it")->type_name("PREFIX");
    routes->add_option("--peer", query->peer, "only routes learned from this address (with --sent: sent to it)")
        ->type_name("ADDRESS");
    routes->add_option("--community", query->community, "only routes with this community (65000:7, 65000:1:2)");
    routes->add_option("--as-path", query->as_path,
                       "only paths with this sequence of AS numbers; ^ anchors it to the start, $ to the end");
    for (const auto& [name, help] :
         {std::pair("accepted", "only what import rules accept"),
          std::pair("rejected", "only what import rules reject"), std::pair("best", "only the selected routes"),
          std::pair("sent", "what is sent to the peer given by --peer, as it is sent")}) {
        routes->add_flag_callback(
            std::string("--") + name, [query, table = std::string(name)] { query->table = table; }, help);
    }
    routes->add_option("-o,--output", query->format, kJsonOrYaml);
    routes->callback([&chosen, query] {
        if (query->table == "sent" && query->peer.empty()) {
            throw CLI::ValidationError("routes", "--sent needs --peer ADDRESS: what that peer is told");
        }
        chosen = {[query](const Context& context) { return bgp_routes(context, *query); }, Needs::settings};
    });

    CLI::App* why =
        bgp.add_subcommand("why", "Show why a route is the best one, and why it is sent to peers or is not");
    const auto question = std::make_shared<BgpWhyOptions>();
    why->add_option("what", question->what, "a prefix, or an address: the longest prefix that contains it")
        ->required()
        ->type_name("PREFIX|ADDRESS");
    why->add_option("-o,--output", question->format, kJsonOrYaml);
    why->callback([&chosen, question] {
        chosen = {[question](const Context& context) { return bgp_why(context, *question); }, Needs::settings};
    });
}

void add_session_commands(CLI::App& bgp, Command& chosen) {
    CLI::App* reset = bgp.add_subcommand("reset", "End a session (Cease, administrative reset) and start it again");
    const auto restart = std::make_shared<BgpCommandOptions>();
    const auto all = std::make_shared<bool>(false);
    restart->what = "reset";
    reset->add_option("peer", restart->peer, "address of the peer")->type_name("ADDRESS");
    reset->add_flag("--all", *all, "all peers");
    reset->add_option("-m,--message", restart->text, "message to the peer's operator");
    reset->callback([&chosen, restart, all] {
        if (restart->peer.empty() != *all) {
            throw CLI::ValidationError("reset", "give either the address of a peer or --all");
        }
        chosen = {[restart](const Context& context) { return bgp_command(context, *restart); }, Needs::settings};
    });

    CLI::App* refresh = bgp.add_subcommand("refresh", "Exchange routes again without ending the session");
    const auto again = std::make_shared<BgpCommandOptions>();
    again->what = "refresh-in";
    refresh->add_option("peer", again->peer, "address of the peer (default: all)")->type_name("ADDRESS");
    refresh->add_flag_callback(
        "--in", [again] { again->what = "refresh-in"; }, "ask the peer for its routes (default)");
    refresh->add_flag_callback("--out", [again] { again->what = "refresh-out"; }, "send all our routes");
    refresh->callback([&chosen, again] {
        chosen = {[again](const Context& context) { return bgp_command(context, *again); }, Needs::settings};
    });

    CLI::App* filter = bgp.add_subcommand("filter", "Try BGPFilters")->require_subcommand(1);
    CLI::App* test = filter->add_subcommand("test", "Say what filters would change, without changing anything");
    const auto trial = std::make_shared<BgpFilterTestOptions>();
    add_input_options(*test, trial->input, Files::optional);
    test->add_option("--peer", trial->peer, "only for the peer with this address")->type_name("ADDRESS");
    test->add_option("--filters", trial->names, "with --peer: as if it had these filters, in this order")
        ->delimiter(',');
    test->add_option("-o,--output", trial->format, kJsonOrYaml);
    test->callback([&chosen, trial] {
        if (trial->input.paths.empty() && (trial->peer.empty() || trial->names.empty())) {
            throw CLI::ValidationError("test", "give -f FILE, or --peer with --filters");
        }
        chosen = {[trial](const Context& context) { return bgp_filter_test(context, *trial); }, Needs::settings};
    });
}

}  // namespace

void add_bgp_commands(CLI::App& app, Command& chosen) {
    CLI::App* bgp = app.add_subcommand("bgp", "This node's BGP speaker")->require_subcommand(1);
    add_questions(*bgp, chosen);
    add_session_commands(*bgp, chosen);
    CLI::App* shutdown = bgp->add_subcommand(
        "shutdown", "End all sessions gracefully and withdraw all routes (merely stopping bgpd keeps them)");
    const auto message = std::make_shared<std::string>();
    shutdown->add_option("-m,--message", *message, "message to the peers' operators");
    shutdown->callback([&chosen, message] {
        chosen = {[message](const Context& context) { return bgp_shutdown(context, *message); }, Needs::settings};
    });
    CLI::App* start = bgp->add_subcommand("start", "End a shutdown: sessions start again");
    start->callback(
        [&chosen] { chosen = {[](const Context& context) { return bgp_start(context); }, Needs::settings}; });
}

}  // namespace manul::ctl

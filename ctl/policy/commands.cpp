#include "ctl/policy/commands.hpp"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include "ctl/policy/counters.hpp"
#include "ctl/policy/impact.hpp"
#include "ctl/policy/trace.hpp"
#include "ctl/policy/verify.hpp"
#include "ctl/verbs/input_options.hpp"

// Options and help of `policy ...`.
namespace manul::ctl {

namespace {

void add_trace(CLI::App& policy, Command& chosen) {
    CLI::App* trace = policy.add_subcommand(
        "trace",
        "Show what policy does to a connection.\n"
        "Prints every tier, policy and rule considered, and which one decided. An end is NAMESPACE/POD,\n"
        "host/HOSTENDPOINT, node/NODE or an address. The verdict is calculated from the datastore, for the node of\n"
        "each end, without asking any daemon. The exit code is 0 even if the connection is DENIED. Host endpoints\n"
        "are evaluated too, at the interface that leads to the other end; for other nodes than this one the\n"
        "interface is guessed from Nodes and HostEndpoints, unless --interface names it.\n"
        "Examples: manulctl policy trace default/client default/web TCP 80\n"
        "          manulctl policy trace 198.51.100.7 default/web TCP 8080 --dialed 192.0.2.1:30080");
    const auto options = std::make_shared<TraceOptions>();
    trace->add_option("source", options->source, "where the connection comes from")->required();
    trace->add_option("destination", options->destination, "where it goes to, after address translation")->required();
    trace->add_option("protocol", options->protocol, "TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or a number (TCP)");
    trace->add_option("port", options->port, "destination port");
    trace->add_option("--source-port", options->source_port, "source port (49152)");
    trace->add_option("--icmp-type", options->icmp_type, "type of ICMP messages (echo request)");
    trace->add_option("--icmp-code", options->icmp_code, "code of ICMP messages (0)");
    trace->add_option("--through", options->through, "node that routes between two addresses outside the cluster")
        ->type_name("NODE");
    trace->add_option("--dialed", options->dialed, "what the client dialed, if that is translated to the destination")
        ->type_name("ADDRESS:PORT");
    trace->add_option("--interface", options->interface,
                      "the nodes' interface through which the packet enters or leaves");
    CLI::Option* v4 = trace->add_flag("-4", options->v4, "use IPv4 (default if both ends have it)");
    trace->add_flag("-6", options->v6, "use IPv6")->excludes(v4);
    trace->add_flag("--short", options->short_, "only the verdicts and what decided");
    trace->add_option("-o,--output", options->format, "json or yaml");
    trace->callback([&chosen, options] {
        chosen = {[options](const Context& context) { return policy_trace(context, *options); }, Needs::datastore};
    });
}

void add_verify(CLI::App& policy, Command& chosen) {
    CLI::App* verify = policy.add_subcommand(
        "verify",
        "Compare what the resources ask of this node with what its kernel holds.\n"
        "Compares every rule by what it does, every set element by element, every workload's link by its group. "
        "Changes\n"
        "nothing; needs root. Exit code 0: equal, 1: not equal, or the comparison failed. Fit for cron.");
    const auto verifying = std::make_shared<VerifyOptions>();
    verify->add_flag("--all-elements", verifying->all_elements, "also read sets of more than 100000 members (slow)");
    verify->add_option("-o,--output", verifying->format, "json or yaml");
    verify->callback([&chosen, verifying] {
        chosen = {[verifying](const Context& context) { return policy_verify(context, *verifying); }, Needs::datastore};
    });
}

void add_impact(CLI::App& policy, Command& chosen) {
    CLI::App* impact = policy.add_subcommand(
        "impact",
        "Show what a change would do before it is applied.\n"
        "Prints which endpoints would get different policies, and which connections would newly be allowed or denied.\n"
        "Connections are tried between the endpoints that change and all others, on the ports and addresses that\n"
        "rules name. Staged policies count as what they stand for. This includes host endpoints: adding or removing\n"
        "one closes or opens an interface of its node. Changes nothing. The exit code is 0 whatever the impact is.");
    const auto changing = std::make_shared<ImpactOptions>();
    add_input_options(*impact, changing->input, Files::optional);
    impact->add_flag("--delete", changing->remove, "the objects of the files would be deleted");
    impact->add_flag("--staged", changing->staged, "the staged policies of the datastore would be enforced");
    impact->add_flag("--flows", changing->flows,
                     "also judge the connections that this node's kernel tracks now (needs root)");
    impact->add_option("-o,--output", changing->format, "json or yaml");
    impact->callback([&chosen, changing] {
        if (changing->input.paths.empty() && !changing->staged) {
            throw CLI::ValidationError("impact", "give -f FILE or --staged");
        }
        chosen = {[changing](const Context& context) { return policy_impact(context, *changing); }, Needs::datastore};
    });
}

void add_counters(CLI::App& policy, Command& chosen) {
    CLI::App* counters = policy.add_subcommand(
        "counters",
        "Show packets and bytes of each policy and rule on this node.\n"
        "manul-felix counts them. Editing a policy keeps the counts of the rules that stay the same.\n"
        "Established connections bypass policy: a rule counts the first packets of connections.");
    const auto counting = std::make_shared<CountersOptions>();
    counters->add_option("policy", counting->policy, "only this one: NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME");
    counters->add_flag("--used", counting->used, "only rules that packets have matched");
    counters->add_option("-o,--output", counting->format, "json or yaml");
    counters->callback([&chosen, counting] {
        chosen = {[counting](const Context& context) { return policy_counters(context, *counting); }, Needs::settings};
    });
}

}  // namespace

void add_policy_commands(CLI::App& app, Command& chosen) {
    CLI::App* policy = app.add_subcommand("policy", "Ask what policy does, and why")->require_subcommand(1);
    add_trace(*policy, chosen);
    add_verify(*policy, chosen);
    add_impact(*policy, chosen);
    add_counters(*policy, chosen);
}

}  // namespace manul::ctl

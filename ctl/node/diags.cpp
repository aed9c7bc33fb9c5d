#include "ctl/node/diags.hpp"

#include <sys/utsname.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include "base/control.hpp"
#include "base/read_file.hpp"
#include "base/run_program.hpp"
#include "base/try.hpp"
#include "ctl/bgp/show.hpp"
#include "ctl/node/checksystem.hpp"
#include "ctl/node/status.hpp"
#include "ctl/node/supervisor.hpp"
#include "ctl/node/tar_file.hpp"
#include "ctl/output/json.hpp"
#include "ctl/policy/verify.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::ctl {

namespace {

/// Of one file of the archive: a million routes say no more than the first of them.
constexpr std::size_t kLargestPart = std::size_t{8} << 20U;
constexpr std::string_view kCut = "\n(cut here: there was more)\n";

using Command = std::vector<std::string>;

std::string joined(const Command& command) { return fmt::format("{}", fmt::join(command, " ")); }

/// The output of programs, each under a heading.
std::string of_programs(const std::vector<Command>& commands) {
    std::string text;
    for (const Command& command : commands) {
        const auto run = run_program({.command = command, .most_output = kLargestPart, .with_errors = true});
        text += "# " + joined(command) + "\n";
        text += run ? run->text + std::string(run->cut ? kCut : "") : run.error().message;
        text += text.ends_with('\n') ? "\n" : "\n\n";
    }
    return text;
}

/// What one of our own commands prints.
std::string of_verb(const Context& context, const std::function<ExitCode(const Context&)>& verb) {
    std::string text;
    const auto keep = [&text](std::string_view part) {
        const bool was_full = text.size() >= kLargestPart;
        text += was_full ? "" : part;
        text += !was_full && text.size() >= kLargestPart ? kCut : "";
    };
    Context own = context;
    own.out = keep;
    own.err = keep;
    own.out_is_terminal = false;
    own.flush = {};
    const ExitCode code = verb(own);
    return text + fmt::format("\n(exit code {})\n", static_cast<int>(code));
}

std::string versions() {
    std::vector<Command> commands{{"uname", "-a"}};
    for (const char* name : {"manul-felix", "manul-bgpd", "manul-ipamd"}) {
        commands.push_back({find_program(name).value_or(name), "--version"});
    }
    commands.push_back({"nft", "--version"});
    return "manulctl " MANUL_VERSION "\n" + read_file("/etc/os-release", kLargestPart).value_or("") + "\n" +
           of_programs(commands);
}

/// Of the settings only what holds no secret, by name.
std::string settings_text(const config::Settings& settings) {
    return fmt::format(
        "node: {}\ndatastore.type: {}\ndatastore.path: {}\ndatastore.etcd.endpoints: {}\ndatastore.etcd.prefix: {}\n"
        "run_dir: {}\nstate_dir: {}\nlog_dir: {}\nlog.level: {}\nserve.listen: {}\n",
        settings.node_name, to_string(settings.datastore.type), settings.datastore.path,
        fmt::join(settings.datastore.etcd.endpoints, ","), settings.datastore.etcd.prefix, settings.run_dir,
        settings.state_dir, settings.log_dir, static_cast<int>(settings.log_level), settings.serve.listen);
}

/// What manul-ipamd says of itself, and of pools and blocks as it sees them.
std::string ipamd_text(const config::Settings& settings) {
    constexpr std::chrono::seconds kPatience{5};
    std::string text;
    for (const char* op : {"status", "show"}) {
        const auto answer = control::call(settings.run_dir + "/ipamd.sock", {{"op", op}}, kPatience);
        const auto printed = answer ? pretty_json(boost::json::serialize(*answer)) : std::unexpected(answer.error());
        text += printed ? *printed : printed.error().message + "\n";
    }
    return text;
}

std::string kernel_settings() {
    std::string text;
    for (const char* name :
         {"net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter",
          "net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/all/disable_ipv6",
          "net/ipv6/conf/all/accept_ra", "net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_count",
          "net/netfilter/nf_conntrack_tcp_be_liberal", "net/ipv4/neigh/default/gc_thresh3",
          "net/ipv4/fib_multipath_hash_policy"}) {
        const auto value = read_file(std::string("/proc/sys/") + name);
        text += std::string(name) + " = " + value.value_or("(not there)\n");
    }
    return text;
}

/// Contents of sets left out: they are addresses of pods by the hundred thousand, and `policy verify` compares them.
std::string nftables() {
    std::vector<Command> commands{{"nft", "list", "tables"}};
    for (const char* family : {"ip", "ip6"}) {
        for (const felix::render::TableId table : felix::render::kAllTables) {
            commands.push_back({"nft", "--terse", "--handle", "list", "table", family, std::string(name(table))});
        }
    }
    return of_programs(commands);
}

std::string network() {
    return of_programs({{"ip", "-details", "-statistics", "link"},
                        {"ip", "address"},
                        {"ip", "rule"},
                        {"ip", "-6", "rule"},
                        {"ip", "route", "show", "table", "all"},
                        {"ip", "-6", "route", "show", "table", "all"},
                        {"ip", "neigh"},
                        {"ss", "-tlnp"}});
}

std::string logs(const std::string& since) {
    Command journal{"journalctl", "--no-pager", "--output=short-iso-precise", "--since=-" + since};
    for (const char* unit : {"manul-felix", "manul-bgpd", "manul-ipamd", "manul-serve"}) {
        journal.push_back(std::string("--unit=") + unit);
    }
    return of_programs({journal, {"journalctl", "--no-pager", "--dmesg", "--since=-" + since}});
}

struct Part {
    std::string_view name;
    std::function<std::string()> text;
};

std::vector<Part> parts_of(const Context& context, const DiagsOptions& options) {
    const auto verb = [&context](auto run) { return [&context, run] { return of_verb(context, run); }; };
    return {
        {"versions.txt", versions},
        {"settings.txt", [&context] { return settings_text(context.settings); }},
        {"node-status.txt", verb([](const Context& c) { return node_status(c, {}); })},
        {"checksystem.txt", verb([](const Context& c) { return node_checksystem(c, ""); })},
        {"bgp-peers.json", verb([](const Context& c) { return bgp_peers(c, {.peer = {}, .format = "json"}); })},
        {"bgp-routes.txt", verb([](const Context& c) { return bgp_routes(c, {}); })},
        {"ipamd.json", [&context] { return ipamd_text(context.settings); }},
        {"kernel-settings.txt", kernel_settings},
        {"network.txt", network},
        {"nftables.txt", nftables},
        {"policy-verify.txt", verb([](const Context& c) { return policy_verify(c, {}); })},
        {"logs.txt", [&options] { return logs(options.since); }},
    };
}

}  // namespace

ExitCode node_diags(const Context& context, const DiagsOptions& options) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const std::string base = fmt::format("manul-diags-{}-{:%Y%m%dT%H%M%SZ}", context.settings.node_name, now);
    const std::string path = options.file.empty() ? base + ".tar" : options.file;
    auto archive = TarFile::create(path, now.time_since_epoch().count());
    if (!archive) {
        return context.fail(archive.error().message);
    }
    const auto fill = [&]() -> Result<void> {
        for (const Part& part : parts_of(context, options)) {
            context.err("collecting " + std::string(part.name) + "\n");
            MANUL_CHECK(archive->add(base.substr(0, 80) + "/" + std::string(part.name), part.text()));
        }
        return archive->finish();
    };
    if (const auto done = fill(); !done) {
        return context.fail(done.error().message);
    }
    context.print(path + "\n");
    return ExitCode::ok;
}

}  // namespace manul::ctl

#include "test/bench/bgp/load/options.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>
#include <string_view>

namespace manul::bench {

namespace {

template <class T>
std::function<bool(const std::string&)> into(T& member) {
    return [&member](const std::string& text) {
        std::istringstream in(text);
        return static_cast<bool>(in >> member) && in.peek() == std::char_traits<char>::eof();
    };
}

std::function<bool(const std::string&)> into(std::vector<int>& member) {
    return [&member](const std::string& text) {
        std::istringstream in(text);
        for (std::string one; std::getline(in, one, ',');) {
            member.push_back(std::atoi(one.c_str()));
        }
        return !member.empty();
    };
}

}  // namespace

Options parse_options(int count, char** arguments) {
    Options options;
    const std::map<std::string, std::function<bool(const std::string&)>, std::less<>> names = {
        {"scenario", into(options.scenario)},
        {"load", into(options.load)},
        {"speaker", into(options.speaker)},
        {"speaker_as", into(options.speaker_as)},
        {"pids", into(options.pids)},
        {"senders", into(options.senders)},
        {"receivers", into(options.receivers)},
        {"clients", into(options.clients)},
        {"blocks", into(options.blocks)},
        {"prefixes", into(options.prefixes)},
        {"share_of_v6", into(options.share_of_v6)},
        {"timeout", into(options.timeout)},
        {"probes", into(options.probes)},
        {"probe_gap", into(options.probe_gap)},
        {"churn", into(options.churn)},
        {"no_table", into(options.no_table)},
        {"only_announce", into(options.only_announce)},
        {"hold_time", into(options.hold_time)},
        {"graceful_restart", into(options.graceful_restart)},
    };
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        const std::size_t equals = argument.find('=');
        const auto name = names.find(argument.substr(0, equals));
        if (equals == std::string_view::npos || name == names.end() ||
            !name->second(std::string(argument.substr(equals + 1)))) {
            die("no such option, or no such value: " + std::string(argument));
        }
    }
    return options;
}

void die(const std::string& why) {
    std::fprintf(stderr, "bgp_load: %s\n", why.c_str());
    std::exit(2);  // NOLINT(concurrency-mt-unsafe): one thread
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace manul::bench

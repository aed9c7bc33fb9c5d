#include "test/bench/bgp/load/report.hpp"

int main(int count, char** arguments) {
    using namespace manul::bench;
    const Options options = parse_options(count, arguments);
    Report report;
    if (options.scenario == "full") {
        full(options, report);
    } else if (options.scenario == "reflector") {
        reflector(options, report);
    } else if (options.scenario == "latency") {
        latency(options, report);
    } else if (options.scenario == "timers") {
        timers(options, report);
    } else if (options.scenario == "routes") {
        routes(options, report);
    } else {
        die("no such scenario: " + options.scenario);
    }
    report.add("peak_rss_mb", usage_of(options.pids).most);
    report.print();
    return report.ok() ? 0 : 1;
}

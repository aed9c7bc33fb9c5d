#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "config/codec/json.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/duration.hpp"
#include "ctl/verbs/interrupt.hpp"
#include "ctl/verbs/verbs.hpp"

namespace manul::ctl {

namespace {

constexpr const char* kClient = "Client Version:    v" MANUL_VERSION "\n";
constexpr std::chrono::hours kLongestPoll{24};

Result<std::string> cluster_version(store::Store& store) {
    const auto object = store.get({model::Kind::cluster_information, "", "default"});
    if (!object) {
        return fail("cluster information is not available: " + describe(object.error()));
    }
    const auto decoded = codec::decode(model::Kind::cluster_information, *object->document, codec::Mode::lenient);
    const auto view = model::as<model::ClusterInformation>(decoded.resource);
    if (!view) {
        return fail("cluster information is not available: it cannot be read");
    }
    const std::string& version = view->spec.calico_version;
    return "Cluster Version:   " + (version.empty() ? std::string("v" MANUL_VERSION) : version) +
           "\nCluster Type:      " + view->spec.cluster_type + "\n";
}

ExitCode print_once(const Context& context, const Result<std::string>& cluster) {
    context.print(kClient + cluster.value_or(""));
    return cluster ? ExitCode::ok : context.fail(cluster.error().message);
}

/// Again whenever the answer is another one, until interrupted.
ExitCode poll(const Context& context, std::chrono::milliseconds every) {
    const Interrupt interrupt;
    std::optional<Result<std::string>> last;
    while (true) {
        auto now = cluster_version(*context.store);
        if (last != now) {
            (void)print_once(context, now);
            last = std::move(now);
        }
        if (context.flush && !context.flush()) {
            return ExitCode::failed;
        }
        if (interrupt.wait(-1, static_cast<int>(every.count()))) {
            return ExitCode::ok;
        }
    }
}

}  // namespace

ExitCode print_version(const Context& context, const VersionOptions& options) {
    const auto every = options.poll.empty() || options.poll == "0" ? std::optional(model::Duration())
                                                                   : model::Duration::parse(options.poll);
    if (!every || every->milliseconds() > kLongestPoll) {
        (void)context.fail("--poll: expected a time up to 24h, such as 10s, not '" + options.poll + "'");
        return ExitCode::usage;
    }
    if (options.client_only) {
        context.print(kClient);
        return ExitCode::ok;
    }
    if (every->milliseconds().count() > 0) {
        return poll(context, every->milliseconds());
    }
    return print_once(context, cluster_version(*context.store));
}

}  // namespace manul::ctl

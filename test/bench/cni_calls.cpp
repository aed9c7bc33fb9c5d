// Calls a chain of CNI plugins as a container runtime does, many times, and measures each call around exec and wait:
// no interpreter in the way. Works with any plugins; cni_bench.py says which.
//
//   cni_calls '{"chain": [{"path": "...", "config": {...}}, ...], "count": 200, "parallel": 1, "keep": 0,
//               "prefix": "b", "secondDelete": true, "addsWhileDraining": 0}'
//
// Answers with one JSON object: percentiles in milliseconds of ADD, DEL and a repeated DEL, calls a second, and for
// plugins that release in the background the time until the last host interface was gone. Needs root; everything is
// made in the network namespace that it is started in.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include "base/unique_fd.hpp"

namespace {

namespace json = boost::json;
using manul::UniqueFd;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Call {
    int exit_status = -1;
    std::string output;
    double wall_ms = 0;
    double cpu_ms = 0;
};

double ms_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

/// One process, from posix_spawn until it has been waited for.
Call run(const std::string& path, const std::vector<std::string>& environment, const std::string& input) {
    Call call;
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) {
        return call;
    }
    UniqueFd in_read(in[0]);
    UniqueFd in_write(in[1]);
    UniqueFd out_read(out[0]);
    UniqueFd out_write(out[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in_read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out_write.get(), STDOUT_FILENO);
    std::vector<char*> variables;
    for (const std::string& variable : environment) {
        variables.push_back(const_cast<char*>(variable.c_str()));  // NOLINT: the interface of exec
    }
    variables.push_back(nullptr);
    std::array<char*, 2> arguments{const_cast<char*>(path.c_str()), nullptr};  // NOLINT: the interface of exec
    pid_t pid = 0;
    const auto start = Clock::now();
    const int failed = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, arguments.data(), variables.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        return call;
    }
    in_read.reset();
    out_write.reset();
    (void)!::write(in_write.get(), input.data(), input.size());
    in_write.reset();
    std::array<char, 8192> buffer{};
    for (ssize_t got = 0; (got = ::read(out_read.get(), buffer.data(), buffer.size())) > 0;) {
        call.output.append(buffer.data(), static_cast<std::size_t>(got));
    }
    int status = 0;
    rusage usage{};
    ::wait4(pid, &status, 0, &usage);
    call.wall_ms = ms_since(start);
    call.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    call.cpu_ms = ms_of(usage.ru_utime) + ms_of(usage.ru_stime);
    return call;
}

std::string netns_path(const std::string& name) { return "/run/netns/" + name; }

void make_netns(const std::string& name) {
    (void)::mkdir("/run/netns", 0755);
    const std::string path = netns_path(name);
    const UniqueFd file(::open(path.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0444));
    std::thread([&path] {
        if (::unshare(CLONE_NEWNET) == 0) {
            (void)::mount("/proc/thread-self/ns/net", path.c_str(), "none", MS_BIND, nullptr);
        }
    }).join();
}

void remove_netns(const std::string& name) {
    (void)::umount2(netns_path(name).c_str(), MNT_DETACH);
    (void)::unlink(netns_path(name).c_str());
}

json::object percentiles(std::vector<double> values) {
    if (values.empty()) {
        return {};
    }
    std::ranges::sort(values);
    const auto at = [&values](std::size_t percent) { return values[(values.size() - 1) * percent / 100]; };
    return {{"p50", at(50)}, {"p90", at(90)}, {"p99", at(99)}, {"max", values.back()}};
}

struct Plugin {
    std::string path;
    json::object config;
};

struct Attachment {
    std::string id;
    json::value result;  ///< of the whole chain; null until ADD succeeded
    double add_ms = 0;
    double del_ms = 0;
    double second_del_ms = 0;
};

class Bench {
public:
    explicit Bench(const json::object& options)
        : parallel_(number(options, "parallel", 1)), prefix_(json::value_to<std::string>(options.at("prefix"))) {
        for (const json::value& plugin : options.at("chain").as_array()) {
            chain_.push_back({json::value_to<std::string>(plugin.at("path")), plugin.at("config").as_object()});
        }
    }
    static std::size_t number(const json::object& options, std::string_view key, std::size_t otherwise) {
        const json::value* value = options.if_contains(key);
        return value == nullptr ? otherwise : value->to_number<std::size_t>();
    }

    std::vector<Attachment> prepare(const std::string& group, std::size_t count) const {
        std::vector<Attachment> out(count);
        for (std::size_t i = 0; i < count; ++i) {
            out[i].id = prefix_ + "-" + group + std::to_string(i);
            make_netns(out[i].id);
        }
        return out;
    }
    static void forget(const std::vector<Attachment>& attachments) {
        for (const Attachment& attachment : attachments) {
            remove_netns(attachment.id);
        }
    }

    void add(Attachment& attachment) {
        json::value previous;
        for (const Plugin& plugin : chain_) {
            const Call call = run(plugin.path, environment(attachment, "ADD", true), request(plugin, previous));
            attachment.add_ms += call.wall_ms;
            if (!succeeded(call)) {
                return;
            }
            previous = json::parse(call.output);
        }
        attachment.result = std::move(previous);
    }
    double del(const Attachment& attachment, bool first) {
        double ms = 0;
        for (auto plugin = chain_.rbegin(); plugin != chain_.rend(); ++plugin) {
            // The second DEL of a sandbox comes without namespace and result.
            const Call call = run(plugin->path, environment(attachment, "DEL", first),
                                  request(*plugin, first ? attachment.result : json::value()));
            ms += call.wall_ms;
            (void)succeeded(call);
        }
        return ms;
    }

    /// Milliseconds that it took to do this to all of them, `parallel` at a time.
    double each(std::vector<Attachment>& attachments, const std::function<void(Attachment&)>& work) const {
        std::atomic<std::size_t> next = 0;
        const auto start = Clock::now();
        {
            std::vector<std::jthread> threads;
            for (std::size_t t = 0; t < parallel_; ++t) {
                threads.emplace_back([&] {
                    for (std::size_t i = 0; (i = next++) < attachments.size();) {
                        work(attachments[i]);
                    }
                });
            }
        }
        return ms_since(start);
    }

    /// Milliseconds until the host ends of all of them are gone.
    static double wait_until_gone(const std::vector<Attachment>& attachments) {
        const auto start = Clock::now();
        for (const Attachment& attachment : attachments) {
            if (attachment.result.is_null()) {
                continue;
            }
            for (const json::value& interface : attachment.result.at("interfaces").as_array()) {
                const bool on_host = !interface.as_object().contains("sandbox") || interface.at("sandbox") == "";
                const auto name = json::value_to<std::string>(interface.at("name"));
                while (on_host && name.starts_with("cali") && ::if_nametoindex(name.c_str()) != 0 &&
                       ms_since(start) < 60'000) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                }
            }
        }
        return ms_since(start);
    }

    [[nodiscard]] std::size_t failed() const { return failed_; }
    [[nodiscard]] const std::string& first_failure() const { return first_failure_; }

private:
    bool succeeded(const Call& call) {
        if (call.exit_status == 0) {
            return true;
        }
        const std::lock_guard lock(mutex_);
        if (failed_++ == 0) {
            first_failure_ = call.output;
        }
        return false;
    }
    static std::string request(const Plugin& plugin, const json::value& previous) {
        json::object config = plugin.config;
        if (!previous.is_null()) {
            config["prevResult"] = previous;
        }
        return json::serialize(config);
    }
    static std::vector<std::string> environment(const Attachment& attachment, const std::string& command,
                                                bool with_netns) {
        return {"CNI_COMMAND=" + command,
                "CNI_CONTAINERID=" + attachment.id,
                "CNI_NETNS=" + (with_netns ? netns_path(attachment.id) : std::string()),
                "CNI_IFNAME=eth0",
                "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=" + attachment.id +
                    ";K8S_POD_INFRA_CONTAINER_ID=" + attachment.id,
                "CNI_PATH=/usr/lib/cni",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    }

    std::vector<Plugin> chain_;
    std::size_t parallel_;
    std::string prefix_;
    std::mutex mutex_;
    std::size_t failed_ = 0;
    std::string first_failure_;
};

std::vector<double> times(const std::vector<Attachment>& attachments, double Attachment::* which) {
    std::vector<double> out;
    for (const Attachment& attachment : attachments) {
        if (!attachment.result.is_null()) {
            out.push_back(attachment.*which);
        }
    }
    return out;
}

/// No address twice among those that were given.
bool all_different(const std::vector<Attachment>& attachments) {
    std::set<std::string> seen;
    for (const Attachment& attachment : attachments) {
        if (attachment.result.is_null()) {
            continue;
        }
        for (const json::value& ip : attachment.result.at("ips").as_array()) {
            if (!seen.insert(json::value_to<std::string>(ip.at("address"))).second) {
                return false;
            }
        }
    }
    return true;
}

double per_second(std::size_t count, double ms) { return ms == 0 ? 0 : static_cast<double>(count) / ms * 1e3; }

json::object measure(const json::object& options) {
    Bench bench(options);
    const std::size_t count = Bench::number(options, "count", 200);
    std::vector<Attachment> kept = bench.prepare("k", Bench::number(options, "keep", 0));
    (void)bench.each(kept, [&](Attachment& one) { bench.add(one); });

    std::vector<Attachment> measured = bench.prepare("m", count);
    const double add_ms = bench.each(measured, [&](Attachment& one) { bench.add(one); });
    const bool different = all_different(measured);
    const double del_ms = bench.each(measured, [&](Attachment& one) { one.del_ms = bench.del(one, true); });
    std::vector<Attachment> during = bench.prepare("d", Bench::number(options, "addsWhileDraining", 0));
    for (Attachment& one : during) {  // one after the other, while the links of `measured` go
        bench.add(one);
    }
    const double drained_ms = del_ms + Bench::wait_until_gone(measured);
    json::object out{{"count", count},
                     {"failed", 0},
                     {"addressesDiffer", different},
                     {"add", percentiles(times(measured, &Attachment::add_ms))},
                     {"addsPerSecond", per_second(count, add_ms)},
                     {"del", percentiles(times(measured, &Attachment::del_ms))},
                     {"delsPerSecond", per_second(count, del_ms)}};
    if (during.empty()) {
        out["drainedPerSecond"] = per_second(count, drained_ms);
    } else {
        out["addWhileDraining"] = percentiles(times(during, &Attachment::add_ms));
    }
    if (options.contains("secondDelete")) {
        (void)bench.each(measured, [&](Attachment& one) { one.second_del_ms = bench.del(one, false); });
        out["secondDel"] = percentiles(times(measured, &Attachment::second_del_ms));
    }
    for (std::vector<Attachment>* rest : {&kept, &during}) {
        (void)bench.each(*rest, [&](Attachment& one) { (void)bench.del(one, true); });
        (void)Bench::wait_until_gone(*rest);
        Bench::forget(*rest);
    }
    Bench::forget(measured);
    out["failed"] = bench.failed();
    if (bench.failed() != 0) {
        out["firstFailure"] = bench.first_failure();
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    (void)::signal(SIGPIPE, SIG_IGN);
    if (argc != 2) {
        (void)std::fputs("usage: cni_calls OPTIONS (a JSON object)\n", stderr);
        return 2;
    }
    const json::object result = measure(json::parse(argv[1]).as_object());
    (void)std::puts(json::serialize(result).c_str());
    return result.at("failed").to_number<std::size_t>() == 0 ? 0 : 1;
}

// Durable allocations per second on a SQLite store: each answer counts only after its commit. Prints one line a batch
// size: requests that waited together share one transaction.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "config/store/sqlite.hpp"
#include "ipam/service.hpp"

namespace {

using manul::ipam::Request;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kAllocations = 2000;

Request make_request(std::size_t number) {
    Request request;
    request.op = manul::ipam::Op::add;
    request.network = "bench";
    request.attachment = {fmt::format("{:064x}", number), "eth0"};
    request.host_interface = fmt::format("cali{:011x}", number);
    request.args = {{"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", fmt::format("pod-{}", number)}};
    return request;
}

double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

bool run(const std::string& path, std::size_t batch) {
    const auto store = manul::store::open_sqlite(path);
    const auto pool = store->create(
        {manul::model::Kind::ip_pool, "", "p"},
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"p"},"spec":{"cidr":"10.0.0.0/16"}})");
    manul::ipam::Service service(*store, {"node", "boot"});
    if (!pool || !service.start()) {
        return false;
    }
    std::vector<manul::ipam::Release> releases;
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    auto start = Clock::now();
    auto cpu = std::clock();
    const auto cpu_us = [&cpu] {
        const auto used = std::clock() - cpu;
        cpu = std::clock();
        return static_cast<double>(used) * 1e6 / CLOCKS_PER_SEC / kAllocations;
    };
    for (std::size_t i = 0; i < kAllocations; i += batch) {
        std::vector<Request> requests;
        for (std::size_t j = i; j < i + batch && j < kAllocations; ++j) {
            requests.push_back(make_request(j));
            releases.push_back({"bench", requests.back().attachment});
        }
        for (const auto& result : service.add(requests, now)) {
            if (result.answer.error) {
                fmt::print(stderr, "{}\n", result.answer.error->msg);
                return false;
            }
        }
    }
    const double adding = seconds(start);
    const double adding_cpu = cpu_us();
    start = Clock::now();
    for (std::size_t i = 0; i < releases.size(); i += batch) {
        const std::size_t count = std::min(batch, releases.size() - i);
        for (const auto& done : service.release(std::span(releases).subspan(i, count), now)) {
            if (!done || !*done) {
                return false;
            }
        }
    }
    const double releasing = seconds(start);
    fmt::print("batches of {:3}: {:6.0f} allocations/s ({:4.0f} us CPU each), {:6.0f} releases/s ({:4.0f} us)\n", batch,
               kAllocations / adding, adding_cpu, kAllocations / releasing, cpu_us());
    return true;
}

}  // namespace

int main() {
    for (const std::size_t batch : {1U, 4U, 16U, 64U}) {
        const auto directory =
            std::filesystem::temp_directory_path() / fmt::format("manul-ipam-bench-{}-{}", ::getpid(), batch);
        std::filesystem::create_directories(directory);
        const bool good = run((directory / "store.db").string(), batch);
        std::filesystem::remove_all(directory);
        if (!good) {
            return 1;
        }
    }
    return 0;
}

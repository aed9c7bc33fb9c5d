#include "config/report.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "config/codec/json.hpp"
#include "config/messages.hpp"
#include "config/model/node_report.hpp"
#include "config/store/obey_lock.hpp"
#include "config/store/store.hpp"

namespace manul::config {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds ReportPacer::interval() const noexcept {
    return std::max(milliseconds(1000), milliseconds(static_cast<std::int64_t>(nodes_) * 10));
}

std::optional<ReportPacer::Time> ReportPacer::next_deadline() const noexcept {
    if (!wanted_ || writing_ || wanted_ == stored_) {
        return std::nullopt;
    }
    return last_attempt_ ? *last_attempt_ + interval() : Time::min();
}

std::optional<model::NodeReportSpec> ReportPacer::take(Time now) {
    const auto deadline = next_deadline();
    if (!deadline || now < *deadline) {
        return std::nullopt;
    }
    last_attempt_ = now;
    writing_ = wanted_;
    return writing_;
}

void ReportPacer::finished(bool written) {
    if (written) {
        stored_ = std::move(writing_);
    }
    writing_.reset();
}

namespace {

std::string_view daemon_name(model::ReportDaemon daemon) {
    switch (daemon) {
        case model::ReportDaemon::bgpd:
            return "bgpd";
        case model::ReportDaemon::felix:
            return "felix";
        case model::ReportDaemon::ipamd:
            return "ipamd";
    }
    return "";
}

/// Runs on the worker's thread.
bool write_report(store::Store& store, model::NodeReportSpec spec) {
    if (const auto locked = store::is_locked(store); locked && *locked) {
        return false;  // without a word: whoever locked the datastore wants it so, and it is tried again
    }
    model::NodeReport report;
    report.metadata.name = spec.node + "." + std::string(daemon_name(spec.daemon));
    report.spec = std::move(spec);
    const std::vector<store::Op> ops{store::Put{report.key(), codec::encode(report), std::nullopt}};
    const auto written = store.transact(ops, store::Checks::own_fields_only);
    if (!written) {
        log::emit(kReportNotWritten, report.metadata.name, written.error().message);
    }
    return written.has_value();
}

}  // namespace

struct ReportWriter::Impl : std::enable_shared_from_this<Impl> {
    Impl(boost::asio::io_context& io, Worker& w, store::Store& s)
        : worker(w), store(s), timer(io, [this] { write_if_due(); }) {}

    void write_if_due() {
        if (auto spec = pacer.take(steady_clock::now())) {
            worker.submit([&target = store, content = *std::move(spec), self = weak_from_this()]() mutable {
                const bool written = write_report(target, std::move(content));
                return [self, written] {
                    if (const auto writer = self.lock()) {
                        writer->pacer.finished(written);
                        writer->write_if_due();
                    }
                };
            });
        } else if (const auto deadline = pacer.next_deadline()) {
            const auto left = *deadline - steady_clock::now();
            timer.after_us(std::chrono::duration_cast<std::chrono::microseconds>(left).count() + 1);
        }
    }

    Worker& worker;
    store::Store& store;
    ReportPacer pacer;
    Timer timer;
};

ReportWriter::ReportWriter(boost::asio::io_context& io, Worker& worker, store::Store& store)
    : impl_(std::make_shared<Impl>(io, worker, store)) {}

ReportWriter::~ReportWriter() = default;

void ReportWriter::set_node_count(std::size_t nodes) { impl_->pacer.set_node_count(nodes); }

void ReportWriter::update(model::NodeReportSpec wanted) {
    impl_->pacer.offer(std::move(wanted));
    impl_->write_if_due();
}

}  // namespace manul::config

#include "felix/io/node_report.hpp"

#include <algorithm>
#include <utility>

#include "config/codec/json.hpp"
#include "felix/io/messages.hpp"

namespace manul::felix::io {

namespace {
constexpr std::int64_t kSecondUs = 1'000'000;
constexpr std::int64_t kAfterFailureUs = 10 * kSecondUs;
}  // namespace

ReportWriter::ReportWriter(boost::asio::io_context& io, Worker& worker, std::unique_ptr<store::Store> store)
    : worker_(worker), store_(std::move(store)), timer_(io, [this] { write(); }) {}

void ReportWriter::want(model::NodeReportSpec report, std::size_t nodes) {
    wanted_ = std::move(report);
    pause_us_ = std::max(kSecondUs, static_cast<std::int64_t>(nodes) * kSecondUs / 100);
    schedule();
}

void ReportWriter::schedule() {
    if (!writing_ && !timer_.armed() && written_ != wanted_) {
        // The first report goes out soon, later ones after the pause.
        timer_.after_us(failed_ ? kAfterFailureUs : written_ ? pause_us_ : kSecondUs / 20);
    }
}

void ReportWriter::write() {
    writing_ = true;
    worker_.submit([this, store = store_, report = wanted_]() mutable -> std::move_only_function<void()> {
        auto problem = put(*store, report);
        return [this, problem = std::move(problem), report = std::move(report)]() mutable {
            writing_ = false;
            failed_ = problem.has_value();
            if (problem) {
                log::emit(kReportFailed, problem->message);
            } else {
                written_ = std::move(report);
            }
            schedule();
        };
    });
}

std::optional<store::StoreError> ReportWriter::put(store::Store& store, const model::NodeReportSpec& report) {
    model::NodeReport resource;
    resource.metadata.name = report.node + ".felix";
    resource.spec = report;
    const std::string document = codec::encode(resource);
    auto result = store.update(resource.key(), document, std::nullopt);
    if (!result && result.error().code == store::StoreError::Code::not_found) {
        result = store.create(resource.key(), document);
    }
    return result ? std::nullopt : std::optional(result.error());
}

}  // namespace manul::felix::io

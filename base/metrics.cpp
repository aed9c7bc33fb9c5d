#include "base/metrics.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <variant>

#include <fmt/format.h>

namespace manul::metrics {

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {
    std::ranges::sort(bounds_);
}

void Histogram::observe(double seconds) noexcept {
    const auto at = std::ranges::lower_bound(bounds_, seconds) - bounds_.begin();
    buckets_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + seconds, std::memory_order_relaxed)) {
    }
}

std::uint64_t Histogram::bucket(std::size_t index) const noexcept {
    return buckets_[index].load(std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const noexcept {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i <= bounds_.size(); ++i) {
        total += bucket(i);
    }
    return total;
}

double Histogram::sum() const noexcept { return sum_.load(std::memory_order_relaxed); }

namespace {

using Metric = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>, std::unique_ptr<Histogram>>;

struct MetricFamily {
    std::string help;
    std::map<Labels, Metric> series;
};

std::string label_text(const Labels& labels, std::string_view extra = {}) {
    std::string text;
    for (const auto& [name, value] : labels) {
        text += text.empty() ? "{" : ",";
        text += name + "=\"";
        for (const char c : value) {
            if (c == '\n') {
                text += "\\n";
                continue;
            }
            if (c == '"' || c == '\\') {
                text += '\\';
            }
            text += c;
        }
        text += '"';
    }
    if (!extra.empty()) {
        text += text.empty() ? "{" : ",";
        text += extra;
    }
    return text.empty() ? text : text + "}";
}

void print(std::string& out, const std::string& name, const Labels& labels, const std::unique_ptr<Counter>& counter) {
    out += fmt::format("{}{} {}\n", name, label_text(labels), counter->value());
}

void print(std::string& out, const std::string& name, const Labels& labels, const std::unique_ptr<Gauge>& gauge) {
    out += fmt::format("{}{} {}\n", name, label_text(labels), gauge->value());
}

void print(std::string& out, const std::string& name, const Labels& labels,
           const std::unique_ptr<Histogram>& histogram) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= histogram->bounds().size(); ++i) {
        below += histogram->bucket(i);
        const std::string bound = i < histogram->bounds().size() ? fmt::format("{}", histogram->bounds()[i]) : "+Inf";
        out += fmt::format("{}_bucket{} {}\n", name, label_text(labels, fmt::format("le=\"{}\"", bound)), below);
    }
    out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, label_text(labels), histogram->sum(), name,
                       label_text(labels), histogram->count());
}

}  // namespace

struct Registry::Impl {
    mutable std::mutex mutex;
    std::map<std::string, MetricFamily, std::less<>> families;

    template <class T, class... Args>
    T& obtain(std::string_view name, std::string_view help, Labels labels, Args&&... args) {
        const std::lock_guard lock(mutex);
        MetricFamily& family = families.try_emplace(std::string(name)).first->second;
        family.help = help;
        auto& slot = family.series[std::move(labels)];
        auto* held = std::get_if<std::unique_ptr<T>>(&slot);
        if (held == nullptr || *held == nullptr) {
            slot = std::make_unique<T>(std::forward<Args>(args)...);
            held = std::get_if<std::unique_ptr<T>>(&slot);
        }
        return **held;
    }
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Labels labels) {
    return impl_->obtain<Counter>(name, help, std::move(labels));
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Labels labels) {
    return impl_->obtain<Gauge>(name, help, std::move(labels));
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                               Labels labels) {
    return impl_->obtain<Histogram>(name, help, std::move(labels), std::move(bounds));
}

std::string Registry::exposition() const {
    constexpr std::array<std::string_view, 3> kTypes{"counter", "gauge", "histogram"};
    const std::lock_guard lock(impl_->mutex);
    std::string out;
    for (const auto& [name, family] : impl_->families) {
        if (family.series.empty()) {
            continue;
        }
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, family.help, name,
                           kTypes[family.series.begin()->second.index()]);
        for (const auto& [labels, metric] : family.series) {
            // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it takes the alternatives for unset
            std::visit([&](const auto& held) { print(out, name, labels, held); }, metric);
        }
    }
    return out;
}

}  // namespace manul::metrics

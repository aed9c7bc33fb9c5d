#include "config/store/etcd/keys.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace manul::store::etcd {

namespace {

constexpr std::string_view kNoNamespace = "-";  // no name of a namespace: those begin with a letter or digit

}  // namespace

Range Range::of_prefix(std::string prefix) {
    std::string end = prefix;
    while (!end.empty() && end.back() == '\xff') {
        end.pop_back();
    }
    if (end.empty()) {
        end.push_back('\0');  // to the end of all keys
    } else {
        end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1U);
    }
    return {std::move(prefix), std::move(end)};
}

Keys::Keys(std::string prefix) : prefix_(std::move(prefix)) {
    while (prefix_.ends_with('/')) {
        prefix_.pop_back();
    }
}

std::string Keys::beginning(model::Kind kind) const {
    const model::KindInfo& info = model::info(kind);
    std::string out = prefix_ + "/";
    out.append(info.group.empty() ? "core" : info.group).append("/").append(info.plural).append("/");
    return out;
}

std::string Keys::of(const model::Key& key) const {
    std::string out = beginning(key.kind);
    out.append(key.ns.empty() ? kNoNamespace : key.ns).append("/").append(key.name);
    return out;
}

Range Keys::of(model::Kind kind) const { return Range::of_prefix(beginning(kind)); }

Range Keys::of(const ListQuery& query) const {
    std::string start = beginning(query.kind);
    if (query.ns || !model::info(query.kind).namespaced) {
        start.append(!query.ns || query.ns->empty() ? kNoNamespace : *query.ns).append("/").append(query.name_prefix);
    }
    return Range::of_prefix(std::move(start));
}

std::optional<model::Key> Keys::parse(model::Kind kind, std::string_view key) const {
    return parse(kind, beginning(kind), key);
}

std::optional<model::Key> Keys::parse(model::Kind kind, std::string_view start, std::string_view key) {
    if (!key.starts_with(start)) {
        return std::nullopt;
    }
    key.remove_prefix(start.size());
    const std::size_t slash = key.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == key.size() ||
        key.find('/', slash + 1) != std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view ns = key.substr(0, slash);
    if ((ns == kNoNamespace) == model::info(kind).namespaced) {
        return std::nullopt;
    }
    return model::Key{kind, ns == kNoNamespace ? std::string() : std::string(ns), std::string(key.substr(slash + 1))};
}

}  // namespace manul::store::etcd

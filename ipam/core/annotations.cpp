#include "ipam/core/annotations.hpp"

#include <fmt/core.h>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

namespace json = boost::json;

std::string key_of(std::string_view name) { return "cni.projectcalico.org/" + std::string(name); }

template <class T, class Parse>
Outcome<std::optional<std::vector<T>>> read_all(const Annotations& annotations, std::string_view name,
                                                std::string_view what, Parse parse) {
    MANUL_TRY(const auto texts, annotations.list(name));
    if (!texts) {
        return std::nullopt;
    }
    std::vector<T> out;
    for (const std::string& text : *texts) {
        auto value = parse(text);
        if (!value) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("annotation {}: {} is no {}", key_of(name), text, what));
        }
        out.push_back(*value);
    }
    return out;
}

}  // namespace

Outcome<std::vector<std::string>> read_text_list(std::string_view annotation, const std::string& text) {
    boost::system::error_code failed;
    const json::value value = json::parse(text, failed);
    std::vector<std::string> out;
    bool good = !failed && value.is_array();
    if (good) {
        for (const json::value& item : value.get_array()) {
            good = good && item.is_string();
            if (item.is_string()) {
                out.emplace_back(item.get_string());
            }
        }
    }
    if (!good) {
        return refuse(ErrorCode::invalid_config,
                      fmt::format("annotation {} is {}, should be a JSON list of texts", annotation, text));
    }
    return out;
}

Annotations::Annotations(const Request& request, const model::Pod* pod, const model::Namespace* ns) {
    if (pod != nullptr) {
        maps_.push_back(pod->metadata.annotations);
    }
    maps_.emplace_back(request.annotations.begin(), request.annotations.end());
    if (ns != nullptr) {
        maps_.push_back(ns->metadata.annotations);
    }
}

Outcome<std::optional<std::vector<std::string>>> Annotations::list(std::string_view name) const {
    const std::string key = key_of(name);
    for (const model::StringMap& map : maps_) {
        if (const auto at = map.find(key); at != map.end() && !at->second.empty()) {
            MANUL_TRY(auto values, read_text_list(key, at->second));
            return values;
        }
    }
    return std::nullopt;
}

Outcome<std::optional<std::vector<net::Ip>>> Annotations::addresses(std::string_view name) const {
    return read_all<net::Ip>(*this, name, "address", [](const std::string& text) { return net::Ip::parse(text); });
}

Outcome<std::optional<std::vector<net::Prefix>>> Annotations::prefixes(std::string_view name) const {
    return read_all<net::Prefix>(*this, name, "prefix",
                                 [](const std::string& text) { return net::Prefix::parse_loose(text); });
}

}  // namespace manul::ipam

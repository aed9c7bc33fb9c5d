#include "ipam/core/history.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/json_fields.hpp"

namespace manul::ipam {

namespace json = boost::json;

std::string print(const HistoryEntry& entry) {
    const bool assigned = entry.event == HistoryEntry::Event::assigned;
    return json::serialize(json::object{{"time", print_timestamp(entry.time)},
                                        {"event", assigned ? "assigned" : "released"},
                                        {"address", entry.address.to_string()},
                                        {"handle", entry.handle},
                                        {"owner", entry.owner},
                                        {"why", entry.why}}) +
           "\n";
}

std::optional<HistoryEntry> parse_history(std::string_view line) {
    boost::system::error_code failed;
    const json::value document = json::parse(line, failed);
    if (failed || !document.is_object()) {
        return std::nullopt;
    }
    std::string error;
    HistoryEntry out;
    std::string event;
    std::optional<WallTime> time;
    const JsonFields fields(document.get_object(), error);
    fields.read_text("time", time, "a time", [](std::string_view text) {
        const auto parsed = parse_timestamp(text);
        return parsed ? std::optional(parsed) : std::nullopt;
    });
    std::optional<net::Ip> address;
    fields.read_text("address", address, "an address", net::Ip::parse);
    fields.read("event", event);
    fields.read("handle", out.handle);
    fields.read("owner", out.owner);
    fields.read("why", out.why);
    if (!error.empty() || !time || !address || (event != "assigned" && event != "released")) {
        return std::nullopt;
    }
    out.time = *time;
    out.address = *address;
    out.event = event == "assigned" ? HistoryEntry::Event::assigned : HistoryEntry::Event::released;
    return out;
}

std::vector<HistoryEntry> history_of(std::string_view text, const net::Ip& address) {
    const std::string wanted = "\"" + address.to_string() + "\"";
    std::vector<HistoryEntry> out;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.find(wanted) == std::string_view::npos) {
            continue;
        }
        if (auto entry = parse_history(line); entry && entry->address == address) {
            out.push_back(*std::move(entry));
        }
    }
    return out;
}

}  // namespace manul::ipam

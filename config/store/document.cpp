#include "config/store/document.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include "base/ascii.hpp"
#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/outline.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxDepth = 64;

std::string_view text_or_empty(const json::value* value) {
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

StoreError wrong_field(const model::Key& key, std::string_view path, std::string_view found, std::string_view wanted) {
    return error(StoreError::Code::invalid,
                 fmt::format("{}: {} is \"{}\", expected \"{}\"", key.to_string(), path, found, wanted));
}

StoreError no_object(const model::Key& key, std::string_view why) {
    return error(StoreError::Code::invalid,
                 fmt::format("{}: the document is no JSON object{}{}", key.to_string(), why.empty() ? "" : ": ", why));
}

StoreError no_metadata(const model::Key& key) {
    return error(StoreError::Code::invalid, key.to_string() + ": metadata is missing");
}

/// Whether the document is the one that its key says.
StoreResult<void> check_envelope(const model::Key& key, std::string_view api_version, std::string_view kind,
                                 std::string_view name, std::string_view ns) {
    const model::KindInfo& info = model::info(key.kind);
    if (kind != info.name) {
        return std::unexpected(wrong_field(key, "kind", kind, info.name));
    }
    if (const std::string wanted = model::api_version(key.kind); api_version != wanted) {
        return std::unexpected(wrong_field(key, "apiVersion", api_version, wanted));
    }
    if (name != key.name) {
        return std::unexpected(wrong_field(key, "metadata.name", name, key.name));
    }
    if (ns != key.ns) {
        return std::unexpected(wrong_field(key, "metadata.namespace", ns, key.ns));
    }
    return {};
}

constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

bool is_uuid(std::string_view text) {
    return std::ranges::equal(text, kUuidForm, [](char c, char form) {
        return form == '-' ? c == '-' : ascii::is_digit(c) || (c >= 'a' && c <= 'f');
    });
}

/// Prints a document into `text`, which is empty, and says where its metadata and spec are in it.
Outline print(const codec::Tree& document, std::string& text) {
    using Span = std::pair<std::size_t, std::size_t>;  ///< where it begins, how long it is
    Span metadata;
    Span spec;
    for (const codec::Tree& child : document.children) {
        text += text.empty() ? '{' : ',';
        codec::append_json_text(text, child.key);
        text += ':';
        const std::size_t begin = text.size();
        codec::append_json(text, child);
        const Span span{begin, text.size() - begin};
        if (child.key == "metadata") {
            metadata = span;
        } else if (child.key == "spec") {
            spec = span;
        }
    }
    text += '}';
    Outline out;
    out.metadata = std::string_view(text).substr(metadata.first, metadata.second);
    out.spec = std::string_view(text).substr(spec.first, spec.second);
    return out;
}

/// A document on its way into the store.
class Stamping {
public:
    static StoreResult<Stamping> begin(const model::Key& key, std::string_view text) {
        auto found = outline(text);
        if (!found) {
            return std::unexpected(no_object(key, {}));
        }
        if (!found->members) {
            return std::unexpected(no_metadata(key));
        }
        MANUL_CHECK(check_envelope(key, unquoted(found->api_version), unquoted(found->kind),
                                   found->members->text("name"), found->members->text("namespace")));
        return Stamping(key, text, *std::move(found));
    }

    /// Of a tree, printed into `text`, which must outlive this.
    static StoreResult<Stamping> begin(const model::Key& key, const codec::Tree& document, std::string& text) {
        Outline found = print(document, text);
        Walker walker(found.metadata);
        found.members = Metadata::read(walker);
        if (!found.members) {
            return std::unexpected(no_metadata(key));
        }
        return Stamping(key, text, std::move(found));
    }

    [[nodiscard]] std::string_view spec() const { return outline_.spec; }
    [[nodiscard]] Metadata& metadata() { return *outline_.members; }

    /// Who was somebody elsewhere stays so here: owner references and who remembers uids go by it.
    [[nodiscard]] bool brings_birth() const {
        return is_uuid(outline_.members->text("uid")) && !outline_.members->text("creationTimestamp").empty();
    }

    std::string as_new() {
        metadata().set_raw("generation", "1");
        return finish();
    }
    std::string as_new(const Birth& birth) {
        metadata().set_text("uid", birth.uid);
        metadata().set_text("creationTimestamp", birth.creation_timestamp);
        return as_new();
    }

    StoreResult<std::string> as_change_of(const Metadata& old, bool same_spec) {
        const std::string_view uid = metadata().text("uid");
        if (!uid.empty() && uid != old.text("uid")) {
            return std::unexpected(
                error(StoreError::Code::conflict,
                      fmt::format("update conflict: {} has uid {}, not {}: it was deleted and created again",
                                  key_.to_string(), old.text("uid"), uid)));
        }
        metadata().take("uid", old);
        metadata().take("creationTimestamp", old);
        metadata().take("generation", old);
        std::string generation;
        if (!same_spec) {
            std::int64_t number = 0;
            const std::string_view before = old.raw("generation");
            std::from_chars(before.data(), before.data() + before.size(), number);
            generation = std::to_string(number + 1);
            metadata().set_raw("generation", generation);
        }
        return finish();
    }

    /// Whether what was stamped and the stored document are the same JSON value. Mostly they differ in nothing but one
    /// member of their metadata, if at all.
    [[nodiscard]] bool is_same_as(std::string_view stored) const {
        const auto old = outline(stored);
        if (!old || !old->members) {
            return false;
        }
        const auto at = metadata_place(text_, outline_);
        const auto old_at = metadata_place(stored, *old);
        const bool same_rest =
            text_.substr(0, at) == stored.substr(0, old_at) &&
            text_.substr(at + outline_.metadata.size()) == stored.substr(old_at + old->metadata.size());
        return same_rest ? outline_.members->same_value(*old->members) : same_json(text_of(), stored);
    }

private:
    Stamping(const model::Key& key, std::string_view text, Outline outline)
        : key_(key), text_(text), outline_(std::move(outline)) {}

    static std::size_t metadata_place(std::string_view text, const Outline& outline) {
        return static_cast<std::size_t>(outline.metadata.data() - text.data());
    }

    std::string finish() {
        for (const char* of_servers : {"resourceVersion", "selfLink"}) {
            metadata().erase(of_servers);
        }
        return text_of();
    }

    [[nodiscard]] std::string text_of() const {
        constexpr std::size_t kAdded = 160;  // what the store adds
        const auto at = metadata_place(text_, outline_);
        std::string out;
        out.reserve(text_.size() + kAdded);
        out.append(text_.substr(0, at));
        outline_.members->append_to(out);
        out.append(text_.substr(at + outline_.metadata.size()));
        return out;
    }

    const model::Key& key_;
    std::string_view text_;
    Outline outline_;  ///< with members
};

/// When its deletion was asked for is not for those to say who write it.
constexpr std::string_view kDeletion = "deletionTimestamp";

StoreError unreadable(const model::Key& key) {
    return error(StoreError::Code::corrupt, key.to_string() + ": the stored document is no JSON object");
}

}  // namespace

StoreError error(StoreError::Code code, std::string message) { return StoreError{code, std::move(message), {}}; }

std::optional<std::string> with_resource_version(std::string_view document, std::string_view revision) {
    const auto at = inside_metadata(document);
    if (!at) {
        return std::nullopt;
    }
    std::string out;
    out.reserve(document.size() + revision.size() + 24);
    out.append(document.substr(0, *at)).append(R"("resourceVersion":")").append(revision).append("\"");
    Walker rest(document.substr(*at));
    if (!rest.accept('}')) {
        out += ',';
    }
    out.append(document.substr(*at));
    return out;
}

StoreError damaged(const model::Key& key) {
    return error(StoreError::Code::corrupt,
                 key.to_string() + " fails its checksum in the store; delete it and create it again");
}

StoreResult<Object> object_of(model::Key key, Revision revision, std::optional<std::string_view> body) {
    if (!body) {
        return std::unexpected(damaged(key));
    }
    auto document = with_resource_version(*body, revision);
    if (!document) {
        return std::unexpected(error(StoreError::Code::corrupt, key.to_string() + " is no JSON object in the store"));
    }
    return Object{std::move(key), std::move(revision), std::make_shared<const std::string>(*std::move(document))};
}

void add_row(Listing& listing, model::Key key, Revision revision, std::optional<std::string_view> body) {
    // Not by object_of: its arguments would be gone when it fails.
    auto document = body ? with_resource_version(*body, revision) : std::nullopt;
    if (document) {
        listing.items.push_back(
            Object{std::move(key), std::move(revision), std::make_shared<const std::string>(*std::move(document))});
    } else {
        StoreError error = object_of(key, revision, body).error();
        listing.damaged.push_back(DamagedObject{std::move(key), std::move(revision), std::move(error)});
    }
}

StoreResult<json::object> parse_document(const model::Key& key, std::string_view text) {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    boost::system::error_code failure;
    json::value value = json::parse(text, failure, json::storage_ptr{}, options);
    if (failure || !value.is_object()) {
        return std::unexpected(no_object(key, failure ? failure.message() : std::string()));
    }
    json::object& object = value.get_object();
    const json::value* metadata = object.if_contains("metadata");
    if (metadata == nullptr || !metadata->is_object()) {
        return std::unexpected(no_metadata(key));
    }
    const json::object& meta = metadata->get_object();
    MANUL_CHECK(check_envelope(key, text_or_empty(object.if_contains("apiVersion")),
                               text_or_empty(object.if_contains("kind")), text_or_empty(meta.if_contains("name")),
                               text_or_empty(meta.if_contains("namespace"))));
    return std::move(object);
}

StoreResult<void> check_envelope(const model::Key& key, const codec::Tree& document) {
    if (!document.is_map()) {
        return std::unexpected(no_object(key, {}));
    }
    const codec::Tree* metadata = document.find("metadata");
    if (metadata == nullptr || !metadata->is_map()) {
        return std::unexpected(no_metadata(key));
    }
    return check_envelope(key, document.text_at("apiVersion"), document.text_at("kind"), metadata->text_at("name"),
                          metadata->text_at("namespace"));
}

StoreResult<std::string> stamp_text(const model::Key& key, std::string_view text,
                                    std::optional<std::string_view> before, const Birth& birth) {
    MANUL_TRY(Stamping stamping, Stamping::begin(key, text));
    if (!before) {
        return stamping.brings_birth() ? stamping.as_new() : stamping.as_new(birth);
    }
    const Before old = compare_with(*before, stamping.spec());
    if (!old.metadata) {
        return std::unexpected(unreadable(key));
    }
    return stamping.as_change_of(*old.metadata, old.same_spec);
}

StoreResult<Stamped> stamp(const model::Key& key, const codec::Tree& document, std::optional<std::string_view> before,
                           const Birth& birth) {
    constexpr std::size_t kUsualSize = 1024;
    std::string text;
    text.reserve(before ? before->size() : kUsualSize);
    MANUL_TRY(Stamping stamping, Stamping::begin(key, document, text));
    if (!before) {
        stamping.metadata().erase(kDeletion);
        return Stamped{stamping.as_new(birth)};
    }
    const Before old = compare_with(*before, stamping.spec());
    if (!old.metadata) {
        return std::unexpected(unreadable(key));
    }
    stamping.metadata().take(kDeletion, *old.metadata);
    const codec::Tree* spec = document.find("spec");
    const bool same_spec = old.same_spec || (spec != nullptr && begins_with_value_of(old.spec, *spec));
    MANUL_TRY(std::string out, stamping.as_change_of(*old.metadata, same_spec));
    const bool changes = !same_spec || (out != *before && !stamping.is_same_as(*before));
    return Stamped{std::move(out), changes};
}

std::string make_uid() {
    std::array<std::uint8_t, 16> bytes{};
    static_assert(sizeof(bytes) <= 256, "up to here the kernel gives everything at once");
    static_cast<void>(::getrandom(bytes.data(), sizeof(bytes), 0));
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0fU) | 0x40U);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3fU) | 0x80U);
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out(kUuidForm);
    std::size_t at = 0;
    for (const std::uint8_t byte : bytes) {
        at += out[at] == '-' ? 1U : 0U;
        out[at++] = kHex[byte >> 4U];
        out[at++] = kHex[byte & 0xfU];
    }
    return out;
}

std::string format_timestamp(std::int64_t unix_seconds) {
    const std::chrono::sys_seconds time{std::chrono::seconds(unix_seconds)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::string out = "0000-00-00T00:00:00Z";
    const auto put = [&](std::size_t at, std::size_t digits, auto value) {
        auto number = static_cast<std::uint64_t>(value);
        while (digits > 0) {
            out[at + --digits] = static_cast<char>('0' + number % 10);
            number /= 10;
        }
    };
    put(0, 4, static_cast<int>(date.year()));
    put(5, 2, static_cast<unsigned>(date.month()));
    put(8, 2, static_cast<unsigned>(date.day()));
    put(11, 2, clock.hours().count());
    put(14, 2, clock.minutes().count());
    put(17, 2, clock.seconds().count());
    return out;
}

}  // namespace manul::store

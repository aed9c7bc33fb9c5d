#include "test/ipam/mini_api.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace manul::test {

namespace json = boost::json;

namespace {

void merge(json::value& target, const json::value& patch);

/// Conditions are merged by their type, as a strategic patch wants it.
void merge_conditions(json::value& target, const json::array& patch) {
    json::array out = target.is_array() ? target.get_array() : json::array();
    for (const json::value& wanted : patch) {
        auto* const former =
            std::ranges::find_if(out, [&](const json::value& one) { return one.at("type") == wanted.at("type"); });
        if (former == out.end()) {
            out.push_back(wanted);
        } else {
            merge(*former, wanted);
        }
    }
    target = std::move(out);
}

/// RFC 7396.
void merge(json::value& target, const json::value& patch) {
    if (!patch.is_object()) {
        target = patch;
        return;
    }
    if (!target.is_object()) {
        target = json::object();
    }
    for (const auto& field : patch.get_object()) {
        if (field.value().is_null()) {
            target.get_object().erase(field.key());
        } else if (field.key() == "conditions" && field.value().is_array()) {
            merge_conditions(target.get_object()[field.key()], field.value().get_array());
        } else {
            merge(target.get_object()[field.key()], field.value());
        }
    }
}

std::string status(int code, const std::string& reason, const std::string& message) {
    return json::serialize(json::object{{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", message}});
}

std::string text_of(const json::object& object, std::string_view field) {
    const json::value* value = object.if_contains(field);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object metadata_of(const json::object& object) {
    const json::value* value = object.if_contains("metadata");
    return value != nullptr && value->is_object() ? value->get_object() : json::object();
}

/// Whether the object is one of the collection: in one namespace, or in all.
bool is_member(std::string_view object, std::string_view collection) {
    if (object.starts_with(collection) && object.substr(collection.size()).starts_with('/') &&
        object.find('/', collection.size() + 1) == std::string_view::npos) {
        return true;
    }
    const std::size_t slash = collection.rfind('/');
    const std::string inside = std::string(collection.substr(0, slash)) + "/namespaces/";
    const std::string kind = std::string(collection.substr(slash)) + "/";
    return object.starts_with(inside) && object.find(kind, inside.size()) != std::string_view::npos;
}

}  // namespace

MiniApi::MiniApi()
    : api_([this](const ScriptedRequest& request, const ScriptedConnection& to) { return answer(request, to); }) {
    put("v1/namespaces/kube-system", R"({"metadata":{"name":"kube-system","uid":"mini"}})");
}

const json::object& MiniApi::store(const std::string& path, json::object object) {
    json::object metadata = metadata_of(object);
    metadata["resourceVersion"] = std::to_string(++revision_);
    if (!metadata.contains("uid")) {
        metadata["uid"] = "00000000-0000-4000-8000-" + std::to_string(100000000000 + revision_);
    }
    object["metadata"] = std::move(metadata);
    return objects_[path] = std::move(object);
}

void MiniApi::put(const std::string& path, const std::string& object) {
    const std::lock_guard lock(mutex_);
    store(path, json::parse(object).as_object());
}

void MiniApi::remove(const std::string& path) {
    const std::lock_guard lock(mutex_);
    objects_.erase(path);
}

json::object MiniApi::get(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(path);
    return found == objects_.end() ? json::object() : found->second;
}

std::size_t MiniApi::count(const std::string& beginning) const {
    const std::lock_guard lock(mutex_);
    std::size_t out = 0;
    for (const auto& [path, object] : objects_) {
        out += path.starts_with(beginning) ? 1U : 0U;
    }
    return out;
}

void MiniApi::touch(const std::string& path) {
    const std::lock_guard lock(mutex_);
    store(path, objects_.at(path));
}

bool MiniApi::answer(const ScriptedRequest& request, const ScriptedConnection& to) {
    if (request.target == "/apis") {
        to.answer(200, R"({"kind":"APIGroupList","groups":[{"name":"projectcalico.org"}]})");
        return true;
    }
    const std::size_t query = request.target.find('?');
    std::string path = request.target.substr(0, query);
    path.erase(0, path.find('/', 1) + 1);
    if (query != std::string::npos && request.target.find("watch=1", query) != std::string::npos) {
        to.begin_chunks();
        to.wait_for_close();
        return false;
    }
    if (request.method == "GET") {
        read(path, to);
        return true;
    }
    if (before_change) {
        before_change(request.method + " " + path);
    }
    change(request, path, to);
    return true;
}

void MiniApi::read(const std::string& path, const ScriptedConnection& to) {
    const std::lock_guard lock(mutex_);
    if (const auto found = objects_.find(path); found != objects_.end()) {
        return to.answer(200, json::serialize(found->second));
    }
    json::array items;
    for (const auto& [member, object] : objects_) {
        if (is_member(member, path)) {
            items.push_back(object);
        }
    }
    const std::size_t last = path.rfind('/');
    const std::string_view end = std::string_view(path).substr(last + 1);
    const bool is_collection = end.ends_with('s') && path.find("/" + std::string(end) + "/") == std::string::npos &&
                               (!path.starts_with("v1/namespaces/") || path.find('/', 14) != std::string::npos) &&
                               objects_.find(path) == objects_.end() && end.find('-') == std::string_view::npos;
    if (items.empty() && !is_collection) {
        return to.answer(404, status(404, "NotFound", "\"" + path + "\" not found"));
    }
    to.answer(200, json::serialize(json::object{
                       {"metadata", json::object{{"resourceVersion", std::to_string(revision_)}}}, {"items", items}}));
}

void MiniApi::change(const ScriptedRequest& request, const std::string& given, const ScriptedConnection& to) {
    const std::lock_guard lock(mutex_);
    std::string path = given;
    const bool of_status = path.ends_with("/status");
    if (of_status) {
        path.resize(path.size() - std::string_view("/status").size());
    }
    const json::object body = json::parse(request.body).as_object();
    if (request.method == "POST") {
        path += "/" + text_of(metadata_of(body), "name");
        if (objects_.contains(path)) {
            return to.answer(409, status(409, "AlreadyExists", "\"" + path + "\" already exists"));
        }
        return to.answer(201, json::serialize(store(path, body)));
    }
    const auto found = objects_.find(path);
    if (found == objects_.end()) {
        return to.answer(404, status(404, "NotFound", "\"" + path + "\" not found"));
    }
    const json::object stored = metadata_of(found->second);
    const json::value* preconditions = body.if_contains("preconditions");
    const json::object expected = request.method == "DELETE"
                                      ? (preconditions == nullptr ? json::object() : preconditions->as_object())
                                      : metadata_of(body);
    for (const char* field : {"resourceVersion", "uid"}) {
        if (expected.contains(field) && text_of(expected, field) != text_of(stored, field)) {
            return to.answer(409, status(409, "Conflict", "the object has been modified"));
        }
    }
    if (request.method == "DELETE") {
        objects_.erase(found);
        return to.answer(200, status(200, "", "deleted"));
    }
    json::value changed = found->second;
    if (request.method == "PATCH") {
        merge(changed, body);
    } else {
        const json::value* kept = found->second.if_contains("status");
        const bool has_status = kept != nullptr;
        json::value former = has_status ? *kept : json::value();
        changed = body;
        if (path.find("/services/") != std::string::npos && has_status) {
            changed.as_object()["status"] = std::move(former);
        }
        changed.as_object()["metadata"].as_object()["uid"] = text_of(stored, "uid");
    }
    to.answer(200, json::serialize(store(path, std::move(changed.as_object()))));
}

}  // namespace manul::test

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include <boost/json/object.hpp>

#include "test/config/scripted_api.hpp"

/// As much of a Kubernetes API server as addresses need: objects with versions, conflicts, merge patches, the status of
/// Services and Pods as a path of its own. No watches (they stay silent), no schema.
namespace manul::test {

class MiniApi {
public:
    MiniApi();

    [[nodiscard]] std::string address() const { return api_.address(); }

    /// `path` as the server names it, without /api or /apis: "v1/namespaces/prod/pods/web".
    void put(const std::string& path, const std::string& object);
    void remove(const std::string& path);
    [[nodiscard]] boost::json::object get(const std::string& path) const;  ///< empty when absent
    [[nodiscard]] std::size_t count(const std::string& beginning) const;
    /// What the API server would do for a kubelet: another version of the same object.
    void touch(const std::string& path);

    /// Called before each change with "METHOD path", without the lock.
    std::function<void(const std::string&)> before_change;

private:
    [[nodiscard]] bool answer(const ScriptedRequest& request, const ScriptedConnection& to);
    void read(const std::string& path, const ScriptedConnection& to);
    void change(const ScriptedRequest& request, const std::string& path, const ScriptedConnection& to);
    const boost::json::object& store(const std::string& path, boost::json::object object);

    mutable std::mutex mutex_;
    std::map<std::string, boost::json::object> objects_;
    std::int64_t revision_ = 100;
    ScriptedApi api_;
};

}  // namespace manul::test

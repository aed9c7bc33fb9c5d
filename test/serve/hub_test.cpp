#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/codec/tree.hpp"
#include "serve/hub.hpp"
#include "test/serve/client.hpp"

namespace manul::test {

namespace {

class Recorder final : public serve::Stream {
public:
    void write(std::shared_ptr<const std::string> bytes) override { texts.push_back(*bytes); }
    [[nodiscard]] std::size_t backlog() const noexcept override { return queued; }
    [[nodiscard]] bool closed() const noexcept override { return gone; }
    void finish() override { finished = true; }
    void abort() override { gone = true; }

    /// "ADDED a", "BOOKMARK", …, and forgets them.
    std::vector<std::string> take() {
        std::vector<std::string> out;
        for (const std::string& text : texts) {
            const auto event = codec::parse_json(text);
            REQUIRE(event);
            const std::string type(event->text_at("type"));
            const codec::Tree* object = event->find("object");
            out.push_back(type == "BOOKMARK" || type == "ERROR"
                              ? type
                              : type + " " + std::string(object->text_at("metadata", "name")));
        }
        texts.clear();
        return out;
    }

    std::vector<std::string> texts;
    std::size_t queued = 0;
    bool gone = false;
    bool finished = false;
};

using Events = std::vector<std::string>;

/// Counts what the hub asks of the store.
class CountingStore final : public store::Store {
public:
    explicit CountingStore(std::unique_ptr<store::Store> inner) : inner_(std::move(inner)) {}
    store::StoreResult<store::Object> get(const model::Key& key) override { return inner_->get(key); }
    store::StoreResult<store::Listing> list(const store::ListQuery& query) override { return inner_->list(query); }
    store::StoreResult<store::Object> create(const model::Key& key, std::string_view document) override {
        return inner_->create(key, document);
    }
    store::StoreResult<store::Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<store::Revision>& expected) override {
        return inner_->update(key, document, expected);
    }
    store::StoreResult<store::Object> remove(const model::Key& key,
                                             const std::optional<store::Revision>& expected) override {
        return inner_->remove(key, expected);
    }
    store::StoreResult<store::Revision> transact(std::span<const store::Op> ops, store::Checks checks) override {
        return inner_->transact(ops, checks);
    }
    [[nodiscard]] bool transactional() const noexcept override { return true; }
    store::StoreResult<std::string> identity() override { return inner_->identity(); }
    store::StoreResult<std::unique_ptr<store::Watch>> watch(std::span<const store::WatchStart> starts) override {
        ++watches;
        return inner_->watch(starts);
    }

    int watches = 0;

private:
    std::unique_ptr<store::Store> inner_;
};

struct Fixture {
    std::shared_ptr<store::MemoryDatabase> database;
    CountingStore store;
    Client client;
    std::map<serve::Hub::FeedId, int> followed;
    serve::Hub hub;

    explicit Fixture(store::MemoryOptions options = {}, serve::HubLimits limits = {})
        : database(store::make_memory_database(options)),
          store(store::make_memory(database)),
          hub(store,
              {[this](serve::Hub::FeedId id, int fd) { followed[id] = fd; },
               [this](serve::Hub::FeedId id) { followed.erase(id); }},
              limits) {
        client.store = store::make_memory(database);
    }

    std::shared_ptr<Recorder> watch(const std::string& query) {
        serve::Answer answer = client.ask("GET", kSets + "?watch=1&" + query);
        REQUIRE(answer.watches.size() == 1);
        auto stream = std::make_shared<Recorder>();
        hub.add(std::move(answer.watches), stream, 0);
        return stream;
    }
    /// Several kinds on one stream, from one revision.
    std::shared_ptr<Recorder> watch_kinds(const std::string& from, const std::string& more = "") {
        serve::Answer answer =
            client.ask("GET", "/apis/manul.io/v1/watches?starts=globalnetworksets.projectcalico.org:" + from +
                                  ",namespaces:" + from + more);
        REQUIRE(answer.watches.size() == 2);
        auto stream = std::make_shared<Recorder>();
        hub.add(std::move(answer.watches), stream, 0);
        return stream;
    }
    void put_namespace(const std::string& name) {
        REQUIRE(client.store->create({model::Kind::namespace_, "", name},
                                     R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + name + "\"}}"));
        take();
    }
    std::string revision() { return std::string(client.json("GET", kSets).text_at("metadata", "resourceVersion")); }
    void put(const std::string& name, const std::string& label = "") {
        const std::string labels = label.empty() ? "" : R"(,"labels":{"x":")" + label + "\"}";
        const model::Key key{model::Kind::global_network_set, "", name};
        REQUIRE((client.store->get(key) ? client.store->update(key, network_set(name, labels), std::nullopt)
                                        : client.store->create(key, network_set(name, labels))));
        take();
    }
    void take() {
        for (const auto& [id, fd] : std::map(followed)) {
            hub.readable(id);
        }
    }
    void remove(const std::string& name) {
        REQUIRE(client.store->remove({model::Kind::global_network_set, "", name}, std::nullopt));
        take();
    }
};

}  // namespace

TEST_CASE("a thousand clients cost the store one watch", "[serve]") {
    Fixture fixture;
    fixture.put("a");
    const std::string from = fixture.revision();
    std::vector<std::shared_ptr<Recorder>> streams;
    for (int i = 0; i < 1000; ++i) {
        streams.push_back(fixture.watch("resourceVersion=" + from));
    }
    fixture.put("b");
    fixture.put("a", "changed");
    fixture.remove("b");
    for (const auto& stream : streams) {
        REQUIRE(stream->take() == Events{"ADDED b", "MODIFIED a", "DELETED b"});
    }
    CHECK(fixture.store.watches == 1);
    CHECK(fixture.followed.size() == 1);
}

TEST_CASE("a client comes back from anywhere that the store remembers", "[serve]") {
    Fixture fixture({}, {.lookback = 0});
    fixture.put("a");
    const std::string early = fixture.revision();
    fixture.put("b");
    const std::string middle = fixture.revision();
    fixture.put("c");
    const auto last = fixture.watch("resourceVersion=" + fixture.revision());
    const auto second = fixture.watch("resourceVersion=" + middle);
    const auto first = fixture.watch("resourceVersion=" + early);
    CHECK(last->take().empty());
    CHECK(second->take() == Events{"ADDED c"});
    CHECK(first->take() == Events{"ADDED b", "ADDED c"});
    fixture.put("d");
    for (const auto& stream : {last, second, first}) {  // each event once, whoever came when
        CHECK(stream->take() == Events{"ADDED d"});
    }
}

TEST_CASE("what the store forgot is gone for who asks for it, and for nobody else", "[serve]") {
    Fixture fixture({.change_log_limit = 5});
    fixture.put("a");
    const std::string early = fixture.revision();
    const auto present = fixture.watch("resourceVersion=" + early);
    for (int i = 0; i < 20; ++i) {
        fixture.put("a", "v" + std::to_string(i));
    }
    CHECK(present->take().size() == 20);
    const auto late = fixture.watch("resourceVersion=0" + std::to_string(std::stoi(early) - 1));
    CHECK(late->take() == Events{"ERROR"});
    CHECK(late->finished);
    CHECK_FALSE(present->finished);
    const auto fresh = fixture.watch("resourceVersion=" + fixture.revision());
    fixture.put("b");
    CHECK(fresh->take() == Events{"ADDED b"});
    CHECK(present->take() == Events{"ADDED b"});
}

TEST_CASE("an object that leaves a selection is told as deleted, one that enters as added", "[serve]") {
    Fixture fixture;
    fixture.put("a", "1");
    const auto stream = fixture.watch("labelSelector=x%3D1");
    CHECK(stream->take() == Events{"ADDED a"});
    fixture.put("b", "2");
    fixture.put("a", "2");
    const std::string left_at = fixture.revision();
    fixture.put("b", "1");
    fixture.put("c", "1");
    fixture.remove("c");
    fixture.remove("a");
    // It is told as it was when it was selected, in the version that is not.
    const auto left = codec::parse_json(stream->texts.at(0));
    REQUIRE(left);
    const codec::Tree& metadata = *left->find("object")->find("metadata");
    CHECK(metadata.find("labels")->text_at("x") == "1");
    CHECK(metadata.text_at("resourceVersion") == left_at);
    CHECK(stream->take() == Events{"DELETED a", "ADDED b", "ADDED c", "DELETED c"});
}

TEST_CASE("each table of a watch is of its object's version", "[serve]") {
    Fixture fixture;
    fixture.client.accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const auto stream = fixture.watch("");
    fixture.put("a");
    const auto event = codec::parse_json(stream->texts.at(0));
    REQUIRE(event);
    CHECK(event->find("object")->text_at("metadata", "resourceVersion") == fixture.revision());
}

TEST_CASE("who comes back to a new server is told of what left the selection meanwhile", "[serve]") {
    Fixture fixture;
    for (const char* name : {"changed", "gone", "kept"}) {
        fixture.put(name, "1");
    }
    const std::string from = fixture.revision();
    fixture.put("changed", "2");
    fixture.put("gone", "2");
    fixture.remove("gone");
    fixture.put("kept", "1");  // the store does not write it
    fixture.put("other", "1");
    const auto stream = fixture.watch("labelSelector=x%3D1&resourceVersion=" + from);
    CHECK(stream->take() == Events{"DELETED changed", "DELETED gone", "ADDED other"});
    // A name never changes: what has another one was never selected by it.
    const auto one = fixture.watch("fieldSelector=metadata.name%3Dother&resourceVersion=" + from);
    CHECK(one->take() == Events{"ADDED other"});
    fixture.put("changed", "1");
    fixture.put("other", "2");
    CHECK(stream->take() == Events{"ADDED changed", "DELETED other"});
}

TEST_CASE("watches end at their time, with a bookmark for who wants one", "[serve]") {
    Fixture fixture;
    const auto marked = fixture.watch("allowWatchBookmarks=1&timeoutSeconds=100");
    const auto plain = fixture.watch("timeoutSeconds=200");
    fixture.hub.tick(61);
    CHECK(marked->take() == Events{"BOOKMARK"});
    CHECK(plain->take().empty());
    fixture.hub.tick(100);  // it may have begun at the end of second 0
    CHECK_FALSE(marked->finished);
    fixture.hub.tick(101);
    CHECK(marked->take() == Events{"BOOKMARK"});
    CHECK(marked->finished);
    CHECK(fixture.hub.client_count() == 1);
    fixture.hub.tick(201);
    CHECK(fixture.hub.client_count() == 0);
    fixture.hub.tick(1000);
    CHECK(fixture.followed.empty());
}

TEST_CASE("who wants metadata alone gets nothing else, also in bookmarks", "[serve]") {
    Fixture fixture;
    fixture.client.accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    const auto partial = fixture.watch("allowWatchBookmarks=1");
    fixture.client.accept = "application/json";
    const auto whole = fixture.watch("");
    fixture.put("a");
    fixture.hub.tick(61);
    REQUIRE(partial->texts.size() == 2);
    for (const std::string& text : partial->texts) {
        CHECK(text.find(R"("kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1")") != std::string::npos);
        CHECK(text.find("spec") == std::string::npos);
    }
    REQUIRE(whole->texts.size() == 1);
    CHECK(whole->texts.front().find("10.0.0.0/8") != std::string::npos);
}

TEST_CASE("one stream brings several kinds, and ends with the last of them", "[serve]") {
    Fixture fixture({.change_log_limit = 5}, {.lookback = 0});
    fixture.put("a");
    const std::string early = fixture.revision();
    const auto stream = fixture.watch_kinds(early, "&timeoutSeconds=100");
    fixture.put("b");
    fixture.put_namespace("n");
    CHECK(stream->take() == Events{"ADDED b", "ADDED n"});
    CHECK(fixture.store.watches == 2);

    // One kind cannot be followed any more: it says so, by its name, and the other goes on.
    for (int i = 0; i < 20; ++i) {
        fixture.put_namespace("n" + std::to_string(i));
    }
    stream->take();
    fixture.hub.tick(400);  // nobody is left: the feeds go
    fixture.hub.tick(800);
    const auto late = fixture.watch_kinds(early);
    CHECK(late->take() == Events{"ERROR", "ERROR"});
    CHECK(late->finished);
    const std::string now = fixture.revision();
    serve::Answer answer = fixture.client.ask(
        "GET", "/apis/manul.io/v1/watches?starts=globalnetworksets.projectcalico.org:" + early + ",namespaces:" + now);
    const auto half = std::make_shared<Recorder>();
    fixture.hub.add(std::move(answer.watches), half, 0);
    REQUIRE(half->texts.size() == 1);
    const auto error = codec::parse_json(half->texts.front());
    REQUIRE(error);
    const codec::Tree* details = error->find("object")->find("details");
    REQUIRE(details);
    CHECK(details->text_at("kind") == "globalnetworksets");
    CHECK(details->text_at("group") == "projectcalico.org");
    CHECK_FALSE(half->finished);
    half->take();
    fixture.put_namespace("last");
    CHECK(half->take() == Events{"ADDED last"});
    fixture.hub.tick(3601);
    CHECK(half->take() == Events{"BOOKMARK"});
    CHECK(half->finished);
}

TEST_CASE("who sees referenced secrets alone is told of those that are referenced later", "[serve]") {
    Fixture fixture;
    const std::string from = fixture.revision();
    const auto watch = [&](serve::SecretView view, bool outdated = false) {
        serve::WatchRequest request{.kind = model::Kind::secret, .ns = {}, .revision = from, .timeout_seconds = 60};
        request.rendering.secrets = std::move(view);
        request.bookmarks = true;
        request.outdated = outdated;
        auto stream = std::make_shared<Recorder>();
        std::vector<serve::WatchRequest> requests;
        requests.push_back(std::move(request));
        fixture.hub.add(std::move(requests), stream, 0);
        return stream;
    };
    const auto host = watch(serve::SecretView::of({{"a"}, 0}));
    const auto admin = watch(serve::SecretView::everything());
    const auto reader = watch({});
    fixture.hub.refer({{"a"}, 0});
    for (const char* name : {"a", "b"}) {
        REQUIRE(fixture.client.store->create({model::Kind::secret, "manul-system", name},
                                             std::string(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":")") +
                                                 name + R"(","namespace":"manul-system"},"data":{"p":"aGVyZQ=="}})"));
    }
    fixture.take();
    /// Each event, "!" behind those with the value.
    const auto events = [](Recorder& stream) {
        const std::vector<std::string> texts = stream.texts;
        Events out = stream.take();
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] += texts[i].find("aGVyZQ==") != std::string::npos ? "!" : "";
        }
        return out;
    };
    CHECK(events(*host) == Events{"ADDED a!", "ADDED b"});
    CHECK(events(*admin) == Events{"ADDED a!", "ADDED b!"});
    CHECK(events(*reader) == Events{"ADDED a", "ADDED b"});

    fixture.hub.refer({{"a", "b"}, 0});
    CHECK(events(*host) == Events{"BOOKMARK", "MODIFIED b!", "BOOKMARK"});
    const auto read_before = watch(serve::SecretView::of({{"a"}, 0}));  // and told to the hub since
    CHECK(events(*read_before) == Events{"ADDED a!", "ADDED b", "BOOKMARK", "MODIFIED b!", "BOOKMARK"});
    const auto outdated = watch(serve::SecretView::of({{"a", "b"}, 0}), true);
    CHECK(events(*outdated) == Events{"ADDED a!", "ADDED b!", "BOOKMARK", "MODIFIED a!", "MODIFIED b!", "BOOKMARK"});
    fixture.hub.refer({{"b"}, 0});
    CHECK(events(*host).empty());
    fixture.hub.refer({{"a", "b"}, 0});
    CHECK(events(*host) == Events{"BOOKMARK", "MODIFIED a!", "BOOKMARK"});
    CHECK(events(*admin).empty());
    CHECK(events(*reader).empty());
}

TEST_CASE("a bookmark moves a kind on to which nothing happens, so that nothing is compacted away from it", "[serve]") {
    Fixture fixture;
    const auto stream = fixture.watch("allowWatchBookmarks=1&resourceVersion=" + fixture.revision());
    for (int i = 0; i < 20; ++i) {
        fixture.put_namespace("n" + std::to_string(i));
    }
    fixture.hub.tick(61);
    REQUIRE(stream->texts.size() == 1);
    const auto bookmark = codec::parse_json(stream->texts.front());
    REQUIRE(bookmark);
    CHECK(bookmark->find("object")->text_at("metadata", "resourceVersion") == fixture.revision());
}

TEST_CASE("what is asked of several kinds at once is checked as a whole", "[serve]") {
    Client client;
    const std::string path = "/apis/manul.io/v1/watches";
    for (const char* wrong : {"", "?starts=", "?starts=pods", "?starts=pods:x", "?starts=nosuch:1",
                              "?starts=pods:1,pods:2", "?starts=pods.projectcalico.org:1", "?starts=pods:-1"}) {
        CAPTURE(wrong);
        CHECK(client.say("GET", path + wrong).starts_with("400 BadRequest starts: expected"));
    }
    CHECK(client.say("POST", path + "?starts=pods:1").starts_with("405 "));
    client.caller = {.user = "ann", .uid = "", .groups = {}};
    client.grant("ann", R"([{"apiGroups":[""],"resources":["pods"],"verbs":["watch"]}])");
    CHECK(client.ask("GET", path + "?starts=pods:1").watches.size() == 1);
    CHECK(client.say("GET", path + "?starts=pods:1,secrets:1").starts_with("403 Forbidden secrets is forbidden"));
    client.caller = {};
    CHECK(client.say("GET", path + "?starts=pods:1").starts_with("401 "));
}

TEST_CASE("who reads too slowly is cut off, the others are not", "[serve]") {
    Fixture fixture({}, {.backlog = 1000});
    const auto slow = fixture.watch("");
    const auto quick = fixture.watch("");
    slow->queued = 2000;
    fixture.put("a");
    CHECK(slow->gone);
    fixture.hub.tick(1);
    CHECK(fixture.hub.client_count() == 1);
    CHECK(quick->take() == Events{"ADDED a"});
}

}  // namespace manul::test

#include "felix/calc/label_index.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "felix/calc/symbol_table.hpp"

namespace manul::felix {

namespace {

model::Selector selector(std::string_view text) {
    auto parsed = model::Selector::parse(text);
    REQUIRE(parsed);
    return *parsed;
}

struct Item {
    model::StringMap labels;
    std::vector<std::string> parents;
};

/// What the index should say, worked out from scratch.
bool naive_match(const model::Selector& expression, const Item& item,
                 const std::map<std::string, model::StringMap>& parents) {
    model::StringMap labels = item.labels;
    for (const std::string& name : item.parents) {
        if (const auto parent = parents.find(name); parent != parents.end()) {
            labels.insert(parent->second.begin(), parent->second.end());
        }
    }
    return expression.matches(labels);
}

/// An index beside the plain facts, with every change counted in.
class Checked {
public:
    void add_selector(const std::string& text) {
        MatchChanges changes;
        const SelectorId id = index_.add_selector(selector(text), changes);
        REQUIRE(selectors_.emplace(id, selector(text)).second);
        apply(changes);
    }
    void remove_selector(std::size_t n) {
        const auto at = std::next(selectors_.begin(), static_cast<std::ptrdiff_t>(n % selectors_.size()));
        MatchChanges changes;
        index_.remove_selector(at->first, changes);
        selectors_.erase(at);
        apply(changes);
    }
    void put(const std::string& name, const Item& item) {
        MatchChanges changes;
        const auto known = ids_.find(name);
        if (known == ids_.end()) {
            ids_.emplace(name, index_.add_item(item.labels, item.parents, changes));
        } else {
            index_.update_item(known->second, item.labels, item.parents, changes);
        }
        items_[name] = item;
        apply(changes);
    }
    void remove(const std::string& name) {
        const auto known = ids_.find(name);
        if (known == ids_.end()) {
            return;
        }
        MatchChanges changes;
        index_.remove_item(known->second, changes);
        ids_.erase(known);
        items_.erase(name);
        apply(changes);
    }
    void set_parent(const std::string& name, const model::StringMap& labels) {
        MatchChanges changes;
        index_.set_parent_labels(name, labels, changes);
        parents_[name] = labels;
        apply(changes);
    }

    void check() const {
        std::set<std::pair<SelectorId, ItemId>> wanted;
        for (const auto& [id, expression] : selectors_) {
            for (const auto& [name, item] : items_) {
                if (naive_match(expression, item, parents_)) {
                    wanted.emplace(id, ids_.at(name));
                }
            }
        }
        CHECK(matches_ == wanted);
        for (const auto& [name, id] : ids_) {
            const auto listed = index_.matches(id);
            CHECK(std::ranges::is_sorted(listed));
            CHECK(listed.size() ==
                  static_cast<std::size_t>(std::ranges::count(wanted, id, &std::pair<SelectorId, ItemId>::second)));
        }
    }

private:
    void apply(const MatchChanges& changes) {
        for (const MatchChange& change : changes) {
            const std::pair match(change.selector, change.item);
            if (change.started) {
                CHECK(matches_.insert(match).second);  // nothing is told twice
            } else {
                CHECK(matches_.erase(match) == 1);
            }
        }
    }

    LabelIndex index_;
    std::map<SelectorId, model::Selector> selectors_;
    std::map<std::string, ItemId> ids_;
    std::map<std::string, Item> items_;
    std::map<std::string, model::StringMap> parents_;
    std::set<std::pair<SelectorId, ItemId>> matches_;
};

class Random {
public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}

    std::size_t below(std::size_t limit) { return engine_() % limit; }
    std::string key() { return std::string(1, "abcd"[below(4)]); }
    std::string value() { return std::string(1, "xyz"[below(3)]); }
    std::string item() { return "item" + std::to_string(below(12)); }
    std::string parent() { return "parent" + std::to_string(below(5)); }
    model::StringMap labels() {
        model::StringMap out;
        for (std::size_t n = below(4); n > 0; --n) {
            out[key()] = value();
        }
        return out;
    }
    std::vector<std::string> parents() {
        std::vector<std::string> out;
        for (std::size_t n = below(3); n > 0; --n) {
            out.push_back(parent());
        }
        return out;
    }
    std::string term() {
        switch (below(9)) {
            case 0:
                return "has(" + key() + ")";
            case 1:
                return key() + " != '" + value() + "'";
            case 2:
                return key() + " in {'" + value() + "', '" + value() + "'}";
            case 3:
                return key() + " not in {'" + value() + "'}";
            case 4:
                return "!has(" + key() + ")";
            case 5:
                return key() + " starts with '" + value() + "'";
            case 6:
                return "all()";
            default:
                return key() + " == '" + value() + "'";
        }
    }
    std::string expression(std::size_t depth) {
        if (depth == 0 || below(3) == 0) {
            return term();
        }
        const std::string both =
            "(" + expression(depth - 1) + (below(2) == 0 ? " && " : " || ") + expression(depth - 1) + ")";
        return below(6) == 0 ? "!" + both : both;
    }

private:
    std::mt19937 engine_;
};

}  // namespace

TEST_CASE("the label index agrees with evaluating every selector on every item, whatever changes") {
    const auto seed = GENERATE(1U, 2U, 3U, 4U, 5U, 6U);
    CAPTURE(seed);
    Random random(seed);
    Checked checked;
    std::size_t selectors = 0;
    for (int step = 0; step < 1500; ++step) {
        switch (random.below(10)) {
            case 0:
            case 1:
                if (selectors < 25) {
                    checked.add_selector(random.expression(2));
                    ++selectors;
                }
                break;
            case 2:
                if (selectors > 0) {
                    checked.remove_selector(random.below(100));
                    --selectors;
                }
                break;
            case 3:
                checked.remove(random.item());
                break;
            case 4:
            case 5:
                checked.set_parent(random.parent(), random.labels());
                break;
            default:
                checked.put(random.item(), Item{random.labels(), random.parents()});
                break;
        }
        if (step % 5 == 0) {
            checked.check();
        }
    }
    checked.check();
}

TEST_CASE("a change of labels that no selector mentions changes nothing") {
    LabelIndex index;
    MatchChanges changes;
    index.add_selector(selector("a == 'x'"), changes);
    const ItemId item = index.add_item({{"a", "x"}}, {}, changes);
    CHECK(changes.size() == 1);
    changes.clear();
    index.update_item(item, {{"a", "x"}, {"hash", "1"}}, {}, changes);
    index.update_item(item, {{"a", "x"}, {"hash", "2"}}, {}, changes);
    CHECK(changes.empty());
}

TEST_CASE("an inherited label that an own one hides changes nothing until it shows") {
    LabelIndex index;
    MatchChanges changes;
    const std::vector<std::string> parents = {"p"};
    index.add_selector(selector("a == 'x'"), changes);
    const ItemId item = index.add_item({{"a", "own"}}, parents, changes);
    index.set_parent_labels("p", {{"a", "x"}}, changes);
    CHECK(changes.empty());
    index.update_item(item, {}, parents, changes);
    CHECK(changes == MatchChanges{{SelectorId(0), item, true}});
    changes.clear();
    index.set_parent_labels("p", {}, changes);
    CHECK(changes == MatchChanges{{SelectorId(0), item, false}});
}

TEST_CASE("texts that nobody refers to any more are forgotten") {
    SymbolTable table;
    const Symbol a = table.acquire("a");
    CHECK(table.acquire("a") == a);
    const Symbol b = table.acquire("b");
    CHECK(table.text(b) == "b");
    table.release(a);
    CHECK(table.find("a") == a);
    table.release(a);
    CHECK_FALSE(table.find("a"));
    CHECK(table.size() == 1);
    CHECK(table.acquire("c") == a);  // the number is free again
    CHECK(table.text(a) == "c");
}

}  // namespace manul::felix

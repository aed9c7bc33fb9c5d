#include "config/model/selector.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "config/model/resource.hpp"

using manul::model::RequiredLabel;
using manul::model::Selector;
using manul::model::StringMap;

namespace {

Selector sel(std::string_view text) {
    auto parsed = Selector::parse(text);
    INFO(text);
    if (!parsed) {
        FAIL(parsed.error().message);
    }
    return *parsed;
}

}  // namespace

TEST_CASE("canonical form of a selector") {
    struct Row {
        const char* text;
        const char* canonical;
    };
    const auto row = GENERATE(values<Row>({
        {"", "all()"},
        {" \t ", "all()"},
        {"all()", "all()"},
        {"all( \t)", "all()"},
        {"global()", "global()"},
        {"global( )", "global()"},
        {"has(a)", "has(a)"},
        {"has( a\t)", "has(a)"},
        {"a=='b'", "a == \"b\""},
        {"a  ==  \"b\"", "a == \"b\""},
        {"a == 'x\"y'", "a == 'x\"y'"},
        {"a != ''", "a != \"\""},
        {"a in {'c', 'b', \"c\"}", "a in {\"b\", \"c\"}"},
        {"a in {}", "a in {}"},
        {"a not in { 'x' , }", "a not in {\"x\"}"},
        {"a notin{'x'}", "a not in {\"x\"}"},
        {"a not  in{'x'}", "a not in {\"x\"}"},
        {"a contains'b'", "a contains \"b\""},
        {"a starts with 'b'", "a starts with \"b\""},
        {"a startswith 'b'", "a starts with \"b\""},
        {"a endswith 'b'", "a ends with \"b\""},
        {"a ends   with 'b'", "a ends with \"b\""},
        {"incoming == 'x'", "incoming == \"x\""},
        {"in == 'x'", "in == \"x\""},
        {"in in {'x'}", "in in {\"x\"}"},
        {"contains contains 'x'", "contains contains \"x\""},
        {"has == 'x'", "has == \"x\""},
        {"all == 'x'", "all == \"x\""},
        {"globalx == 'x'", "globalx == \"x\""},
        {"not in {'x'}", "not in {\"x\"}"},
        {"projectcalico.org/name-x_1 == 'v'", "projectcalico.org/name-x_1 == \"v\""},
        {"!has(a)", "!has(a)"},
        {"!!has(a)", "has(a)"},
        {"! ! !has(a)", "!has(a)"},
        {"!(!has(a))", "has(a)"},
        {"((has(a)))", "has(a)"},
        {"has(a) && has(b)", "(has(a) && has(b))"},
        {"has(a)||has(b)&&has(c)", "(has(a) || (has(b) && has(c)))"},
        {"(has(a)||has(b))&&has(c)", "((has(a) || has(b)) && has(c))"},
        {"!has(a)&&has(b)", "(!has(a) && has(b))"},
        {"!(has(a)&&has(b))", "!(has(a) && has(b))"},
        {"has(a) && has(a)", "(has(a) && has(a))"},
        {"a == 'it is > fine & dandy \n'", "a == \"it is > fine & dandy \n\""},
    }));
    CAPTURE(row.text);
    const Selector selector = sel(row.text);
    CHECK(selector.to_string() == row.canonical);
    CHECK(sel(selector.to_string()) == selector);
}

TEST_CASE("a wrong selector is refused with the place and what was expected") {
    struct Row {
        const char* text;
        std::size_t position;
        const char* message;
    };
    const auto row = GENERATE(values<Row>({
        {"a", 1, "at character 2: expected \"==\", \"!=\", \"in\""},
        {"a b", 2, "found \"b\""},
        {"a = 'b'", 2, "found \"=\""},
        {"a == b", 5, "expected a value in quotes, found \"b\""},
        {"a == 'b", 5, "this quote is never closed"},
        {"a == 'b' c == 'd'", 9, "expected \"&&\", \"||\" or the end, found \"c\""},
        {"a == 'b' == 'c'", 9, "found \"=\""},
        {"a == 'b' & c == 'd'", 9, "found \"&\""},
        {"a == 'b' | c == 'd'", 9, "found \"|\""},
        {"a == 'b' &&", 11, "expected a label"},
        {"(a == 'b'", 9, "expected \"&&\", \"||\" or \")\", found the end"},
        {"a == 'b')", 8, "found \")\""},
        {"()", 1, "expected a label"},
        {"!", 1, "found the end"},
        {"has()", 4, "expected a label"},
        {"has(a", 5, "expected \")\" after the label"},
        {"has (a)", 4, "found \"(\""},
        {"all ()", 4, "found \"(\""},
        {"all(a)", 4, "expected \")\", found \"a\""},
        {"a in 'b'", 5, "expected \"{\""},
        {"a in {'b' 'c'}", 10, "expected \",\" or \"}\""},
        {"a in {,}", 6, "expected a value in quotes"},
        {"a in {'b'", 9, "expected \",\" or \"}\""},
        {"a inx {'b'}", 2, "found \"inx\""},
        {"a == 'b'\n&& c == 'd'", 8, "expected \"&&\""},
        {"\xc3\xa4 == 'b'", 0, "expected a label"},
    }));
    CAPTURE(row.text);
    const auto parsed = Selector::parse(row.text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().position == row.position);
    CHECK_THAT(parsed.error().message, Catch::Contains(row.message));
}

TEST_CASE("limits of length and depth are errors, not crashes") {
    CHECK(Selector::parse(std::string(512, 'a') + " == ''"));
    CHECK_FALSE(Selector::parse(std::string(513, 'a') + " == ''"));
    CHECK(Selector::parse(std::string(200, '(') + "has(a)" + std::string(200, ')')));
    CHECK_FALSE(Selector::parse(std::string(100'000, '(')));
    CHECK(sel(std::string(100'001, '!') + "has(a)").to_string() == "!has(a)");
}

TEST_CASE("evaluation of each form") {
    const StringMap labels{{"app", "web"}, {"empty", ""}, {"env", "prod"}};
    struct Row {
        const char* text;
        bool wanted;
    };
    const auto row = GENERATE(values<Row>({
        {"all()", true},
        {"global()", true},
        {"has(app)", true},
        {"has(empty)", true},
        {"has(none)", false},
        {"app == 'web'", true},
        {"app == 'Web'", false},
        {"none == ''", false},
        {"empty == ''", true},
        {"app != 'web'", false},
        {"app != 'db'", true},
        {"none != 'x'", true},
        {"app in {'db', 'web'}", true},
        {"none in {'db'}", false},
        {"app in {}", false},
        {"app not in {}", true},
        {"none not in {}", true},
        {"none not in {'x'}", true},
        {"app not in {'web'}", false},
        {"app contains 'e'", true},
        {"app contains ''", true},
        {"none contains ''", false},
        {"app starts with 'we'", true},
        {"app ends with 'eb'", true},
        {"app ends with 'we'", false},
        {"!(app == 'web')", false},
        {"!has(none) && env == 'prod'", true},
        {"has(none) || env == 'prod'", true},
        {"has(none) || has(app) && has(none)", false},
        {"(has(none) || has(app)) && has(env)", true},
        {"!all()", false},
    }));
    CAPTURE(row.text);
    CHECK(sel(row.text).matches(labels) == row.wanted);
    CHECK(Selector::negate(sel(row.text)).matches(labels) == !row.wanted);
}

TEST_CASE("labels can be looked up by any callable") {
    const auto lookup = [](std::string_view key) -> std::optional<std::string_view> {
        return key == "pcns.team" ? std::optional<std::string_view>("blue") : std::nullopt;
    };
    CHECK(sel("team == 'blue'").with_key_prefix("pcns.").matches(lookup));
    CHECK_FALSE(sel("team == 'blue'").matches(lookup));
}

TEST_CASE("building blocks make what parsing would") {
    CHECK(Selector().is_all());
    CHECK(Selector::equals("a", "b") == sel("a == 'b'"));
    CHECK(Selector::in("a", {"c", "b", "c"}) == sel("a in {'b','c'}"));
    CHECK(Selector::not_in("a", {"b"}) == sel("a not in {'b'}"));
    CHECK(Selector::has("a") == sel("has(a)"));
    CHECK(Selector::negate(sel("!has(a)")) == sel("has(a)"));
    CHECK(Selector::conjunction({}) == sel("all()"));
    CHECK(Selector::conjunction({sel(""), sel("has(a)")}) == sel("has(a)"));
    CHECK(Selector::conjunction({sel("has(a) || has(b)"), sel("has(c)")}) == sel("(has(a) || has(b)) && has(c)"));
    CHECK(sel("has(a) && b in {'c'} || all()").with_key_prefix("p.") == sel("has(p.a) && p.b in {'c'} || all()"));
    CHECK(sel("has(a) && !all() || all()").with_all_as_has("any") == sel("has(a) && !has(any) || has(any)"));
}

TEST_CASE("what is as long and as deep as a selector may be can be turned into one over namespaces") {
    const auto over = [](const std::string& text) { return sel(text).with_key_prefix("pcns.").with_all_as_has("ns"); };
    const std::string key(512, 'k');
    CHECK(over("has(" + key + ")").matches(StringMap{{"pcns." + key, ""}}));
    std::string deep = "all()";
    for (int i = 0; i < 199; ++i) {
        deep = "has(a) || has(b) && (" + deep + ")";
    }
    CHECK(over(deep).matches(StringMap{{"ns", "x"}, {"pcns.b", ""}}));
    CHECK_FALSE(over(deep).matches(StringMap{{"pcns.b", ""}}));
}

TEST_CASE("building blocks with what no label can hold never match, and stay valid text") {
    const StringMap labels{{"a", "x"}};
    for (const Selector& never : {Selector::equals("", "x"), Selector::equals("a b", "x"), Selector::has("a\"b"),
                                  Selector::equals("a", "'\""), Selector::in("a", {"'\""})}) {
        CHECK_FALSE(never.matches(labels));
        CHECK(sel(never.to_string()) == never);
    }
    CHECK(Selector::not_in("a", {"'\""}).matches(labels));
}

TEST_CASE("global() alone is told from an expression that has it") {
    CHECK(sel("global()").is_global());
    CHECK_FALSE(sel("global() && has(a)").is_global());
    CHECK_FALSE(sel("global == 'x'").is_global());
}

TEST_CASE("keys and required labels of a selector") {
    CHECK(sel("has(b) && a == 'x' || !has(b)").keys() == std::vector<std::string>{"a", "b"});
    struct Row {
        const char* text;
        std::vector<RequiredLabel> wanted;
    };
    const auto row = GENERATE(values<Row>({
        {"all()", {}},
        {"a == 'x'", {{"a", {"x"}}}},
        {"a in {'y', 'x'}", {{"a", {"x", "y"}}}},
        {"has(a) && b contains 'c'", {{"a", {}}, {"b", {}}}},
        {"has(a) && a == 'x' && c != 'd'", {{"a", {"x"}}}},
        {"a == 'x' || a == 'y'", {{"a", {"x", "y"}}}},
        {"a == 'x' || b == 'y'", {}},
        {"a == 'x' && c == 'z' || has(a) && b == 'y'", {{"a", {}}}},
        {"!has(a)", {}},
        {"!(a == 'x')", {}},
    }));
    CAPTURE(row.text);
    CHECK(sel(row.text).required_labels() == row.wanted);
}

namespace {

/// The obvious way: a tree of functions, built together with the text.
struct Naive {
    std::string text;
    std::function<bool(const StringMap&)> matches;
};

class Generator {
public:
    explicit Generator(unsigned seed) : random_(seed) {}

    int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
    std::string key() { return std::string(1, static_cast<char>('a' + below(4))); }
    std::string value() {
        static const std::vector<std::string> values{"", "x", "xy", "yx", "x\"y"};
        return values[static_cast<std::size_t>(below(static_cast<int>(values.size())))];
    }
    StringMap labels() {
        StringMap labels;
        for (int i = below(5); i > 0; --i) {
            labels[key()] = value();
        }
        return labels;
    }

    Naive selector(int depth) {
        const int form = depth == 0 ? below(7) : below(10);
        const std::string k = key();
        const std::string v = value();
        const auto with = [k](auto test) {
            return [k, test](const StringMap& labels) {
                const auto found = labels.find(k);
                return test(found == labels.end() ? nullptr : &found->second);
            };
        };
        using Value = const std::string*;
        switch (form) {
            case 0:
                return {"has(" + k + ")", with([](Value x) { return x != nullptr; })};
            case 1:
                return {k + "=='" + v + "'", with([v](Value x) { return x && *x == v; })};
            case 2:
                return {k + " != '" + v + "'", with([v](Value x) { return !x || *x != v; })};
            case 3:
                return {k + " in {'" + v + "','x'}", with([v](Value x) { return x && (*x == v || *x == "x"); })};
            case 4:
                return {k + " not in {'" + v + "'}", with([v](Value x) { return !x || *x != v; })};
            case 5:
                return {k + " contains '" + v + "'", with([v](Value x) { return x && x->find(v) != x->npos; })};
            case 6:
                return {k + " starts with '" + v + "'", with([v](Value x) { return x && x->starts_with(v); })};
            case 7: {
                Naive inner = selector(depth - 1);
                return {"!(" + inner.text + ")", [f = inner.matches](const StringMap& l) { return !f(l); }};
            }
            default: {
                Naive left = selector(depth - 1);
                Naive right = selector(depth - 1);
                const bool conjunction = form == 8;
                return {"(" + left.text + (conjunction ? ")&&(" : ") || (") + right.text + ")",
                        [a = left.matches, b = right.matches, conjunction](const StringMap& l) {
                            return conjunction ? a(l) && b(l) : a(l) || b(l);
                        }};
            }
        }
    }

private:
    std::mt19937 random_;
};

}  // namespace

TEST_CASE("evaluation, canonical text and required labels agree with a naive evaluator") {
    Generator generate(20260805);
    for (int round = 0; round < 3000; ++round) {
        const Naive naive = generate.selector(generate.below(5));
        const Selector selector = sel(naive.text);
        const Selector again = sel(selector.to_string());
        REQUIRE(again.to_string() == selector.to_string());
        for (int i = 0; i < 8; ++i) {
            const StringMap labels = generate.labels();
            const bool wanted = naive.matches(labels);
            CAPTURE(naive.text, labels);
            REQUIRE(selector.matches(labels) == wanted);
            REQUIRE(again.matches(labels) == wanted);
            if (!wanted) {
                continue;
            }
            for (const RequiredLabel& required : selector.required_labels()) {
                const auto found = labels.find(required.key);
                REQUIRE(found != labels.end());
                REQUIRE((required.values.empty() || std::ranges::count(required.values, found->second) == 1));
            }
        }
    }
}

use super::*;
use proptest::prelude::*;

const EVENT: &str = r#"- <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event">- <System>
  <Provider Name="Microsoft-Windows-Security-Auditing" Guid="{54849625}" /> <EventID>4625</EventID>
  <TimeCreated SystemTime="2022-04-28T16:09:28.9443547Z" /> </System>- <EventData>
  <Data Name="TargetUserName">jane@example.test</Data> <Data Name='IpAddress'>192.0.2.7</Data>
  <Data Name="query">a=b&amp;c=&#x41;</Data> <Data Name="empty" /> </EventData> </Event>"#;

fn check(text: &str, path: &str, expect: &str) {
    let document = XmlDoc::parse(text).unwrap();
    assert_eq!(document.node_value(&XmlPath::compile(path).unwrap()), expect, "{text} {path}");
}

#[test]
fn windows_events_are_read() {
    for (path, expect) in [
        ("/Event/System[1]/EventID", "4625"),
        ("/Event/EventData[1]/Data[@Name='IpAddress']", "192.0.2.7"),
        ("/Event/EventData/Data[@Name=\"TargetUserName\"]", "jane@example.test"),
        ("/Event/EventData/Data[@Name='query']", "a=b&c=A"),
        ("/Event/EventData/Data[@Name='empty']", ""),
        ("/Event/EventData[1]/Data[2]", "192.0.2.7"),
        ("/Event/EventData[2]/Data[2]", ""),
        ("/Event/EventData/Data[9]", ""),
        ("//EventID", "4625"),
        ("//Data[-2]", "a=b&c=A"),
        ("Event/System/EventID", "4625"),
        ("/event/system", ""),
        ("/Event/System", "\n  "),
        ("/Event/*/EventID/../../EventData/./Data", "jane@example.test"),
    ] {
        check(EVENT, path, expect);
    }
    let document = XmlDoc::parse(EVENT).unwrap();
    let time = XmlPath::compile("/Event/System[1]/TimeCreated").unwrap();
    assert_eq!(document.attribute_value(&time, "SystemTime"), "2022-04-28T16:09:28.9443547Z");
    assert_eq!(document.attribute_value(&time, "Name"), "");
    assert_eq!(
        document.attribute_value(&XmlPath::compile("/Event").unwrap(), "xmlns"),
        "http://schemas.microsoft.com/win/2004/08/events/event"
    );
    assert_eq!(document.source(), EVENT);
}

#[test]
fn text_is_what_comes_before_the_first_child() {
    check("<a>one<!-- c -->two<![CDATA[<3>&amp;]]>&lt;<b/>five</a>", "/a", "onetwo<3>&amp;<");
    check("<a>one<?pi?>two</a>", "/a", "one");
    check("<a><b/>text</a>", "/a", "");
    check("<a>x\r\ny\rz&#13;</a>", "/a", "x\ny\nz\r");
    check("<a><!-- c -->x&amp;y<!-- c -->z</a>", "/a", "x&yz");
}

#[test]
fn prefixes_need_no_declaration() {
    let text = "<s:a><t:b x:k='1'>one</t:b><b k='2'>two</b></s:a>";
    check(text, "/a/b", "one");
    check(text, "/s:a/t:b", "one");
    check(text, "/t:a/b", "");
    check(text, "/a/b[@k='2']", "two");
    check(text, "/a/b[@k]", "one");
    check(text, "/a/b[@x:k='1']", "one");
    check(text, "/a/b[@x:k='2']", "");
}

#[test]
fn filters_look_at_children_and_names() {
    let text = "<r><p><id>1</id><n>a</n></p><p><id>2</id><n>b</n><m/></p><q>]/'</q><n>c</n></r>";
    check(text, "/r/p[id='2']/n", "b");
    check(text, "/r/p[m]/n", "b");
    check(text, "/r/p[2][1]/n", "b");
    check(text, "/r/p[n='b'][1]/id", "2");
    check(text, "/r/*[text()]", "]/'");
    check(text, "/r/*[text()=\"]/'\"]", "]/'");
    check(text, "/r/*[local-name()='n']", "c");
    check(text, "//n", "c");
    check(text, "//p//n", "a");
    check(text, "//*[name()='id']", "1");
    check(text, "//p[0]/id", "1");
}

#[test]
fn of_equal_attributes_the_last_counts() {
    let document = XmlDoc::parse("<a k='1' j='&gt;' k='2'/>").unwrap();
    let path = XmlPath::compile("/a").unwrap();
    assert_eq!(document.attribute_value(&path, "k"), "2");
    assert_eq!(document.attribute_value(&path, "j"), ">");
}

#[test]
fn surroundings_are_passed_over() {
    let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?><!DOCTYPE a [<!ENTITY x \"y>\"> <!-- > -->]>\
                <!-- c --><a>x</a> tail <b>y</b>";
    check(text, "/a", "x");
    check(text, "/b", "y");
    check("", "/a", "");
    check("no markup", "/a", "");
}

#[test]
fn broken_documents_are_errors() {
    for text in [
        "<a>",
        "</a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a",
        "<a b",
        "<a b>",
        "<a b=c>",
        "<a b='c>",
        "<a b='<'/>",
        "<a>&nope;</a>",
        "<a>&amp</a>",
        "<a>&</a>",
        "<a>&#0;</a>",
        "<a>]]></a>",
        "<!-- a",
        "<!-- a--b --><a/>",
        "<![CDATA[x",
        "<?xml version='1.1'?><a/>",
        "<?x",
        "<!DOCTYPE a",
        "<1/>",
        "< a/>",
        "<a:b:c/>",
        "<p:a></a>",
        "<a/ >",
        "<>",
    ] {
        assert!(XmlDoc::parse(text).is_err(), "{text}");
    }
    let message = XmlDoc::parse("<a><b></a>").unwrap_err();
    assert_eq!(message, "XML closes an element that is not open, near byte 10");
}

#[test]
fn broken_paths_are_errors() {
    for path in ["a[", "a[]", "a[1", "a[@k='x]", "a[@k='x''y']", "a[1]b", "a[f()]", "a[='x']"] {
        assert!(XmlPath::compile(path).is_err(), "{path}");
    }
    assert!(XmlPath::compile(&"a/".repeat(1000)).is_err());
}

#[test]
fn a_document_can_be_replaced() {
    let mut document = XmlDoc::parse("<a>&lt;</a>").unwrap();
    let path = XmlPath::compile("/a").unwrap();
    assert!(document.replace("<a>").is_err());
    assert_eq!((document.node_value(&path), document.source()), ("", "<a>"));
    document.replace("<a>&gt;</a>").unwrap();
    assert_eq!((document.node_value(&path), document.source()), (">", "<a>&gt;</a>"));
}

#[test]
fn hostile_documents_take_bounded_time() {
    let path = |path| XmlPath::compile(path).unwrap();
    let deep = "<a>".repeat(20_000) + &"</a>".repeat(20_000);
    let deep = XmlDoc::parse(&deep).unwrap();
    assert_eq!(deep.node_value(&path("//a//a//a//b")), "");
    let wide = alloc::format!("<r>{}</r>", "<a/>".repeat(50_000));
    let wide = XmlDoc::parse(&wide).unwrap();
    assert_eq!(wide.node_value(&path("//../x")), "");
    assert_eq!(wide.node_value(&path("/r/a/../a/../a/../a/../x")), "");
    assert_eq!(wide.node_value(&path("//../.[x]")), "");
    let pieces = alloc::format!("<a>{}</a>", "x<!---->".repeat(50_000));
    assert_eq!(XmlDoc::parse(&pieces).unwrap().node_value(&path("/a")).len(), 50_000);
}

proptest! {
    #[test]
    fn text_survives(text: String) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#13;");
        let escaped: String = escaped.chars().collect();
        if let Ok(document) = XmlDoc::parse(&alloc::format!("<a k=\"{}\">{escaped}</a>", escaped.replace('"', "&quot;"))) {
            let path = XmlPath::compile("/a").unwrap();
            prop_assert_eq!(document.node_value(&path), text.as_str());
            prop_assert_eq!(document.attribute_value(&path, "k"), text.as_str());
        } else {
            prop_assert!(false, "refused {text:?}");
        }
    }

    #[test]
    fn never_panics(
        text: String,
        soup in "(<a>|</a>|<b k='é'/>|&lt;|&#|;|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?|\\?>|<!|[<>'\"/=é\r ]){0,16}",
        path in "([a*.\\[\\]@'=/1é]|//|\\[@k\\]|\\(\\)){0,12}",
    ) {
        let path = XmlPath::compile(&path);
        for text in [text, soup.clone(), alloc::format!("<a>{soup}</a>")] {
            let document = XmlDoc::parse(&text);
            if let (Ok(document), Ok(path)) = (&document, &path) {
                let _ = (document.node_value(path), document.attribute_value(path, "k"));
            }
        }
    }
}

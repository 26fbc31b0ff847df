"""The style of the report: light and dark as the reader's system has it, one column on a phone."""

STYLE = """
:root{--page:#f6f7f9;--card:#fff;--text:#17202b;--soft:#5b6673;--line:#dfe3e8;--bar:#3b6fd4;--bar2:#9db7ea;
--warn:#a84a00;--warn-bg:#fff3e6;--note:#3c5a80;--note-bg:#eef3fa;--p0:#c3c9d1;--p1:#3b6fd4;--p2:#e0a030;--p3:#3a9d78;
--p4:#9a5fc9;--p5:#cf5a6a}
@media (prefers-color-scheme:dark){:root{--page:#12161b;--card:#1b2128;--text:#e6e9ed;--soft:#9aa5b1;--line:#303943;
--bar:#6f9bf0;--bar2:#3a5585;--warn:#ffb066;--warn-bg:#33261a;--note:#a9c4ea;--note-bg:#1d2835;--p0:#4a545f;
--p1:#6f9bf0;--p2:#e0b050;--p3:#58bd96;--p4:#b98ae0;--p5:#e0808d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:20px 16px 64px}
h1{font-size:26px;line-height:1.2;margin:8px 0 2px;overflow-wrap:anywhere}
h2{font-size:19px;margin:36px 0 10px}
h3{font-size:16px;margin:0;overflow-wrap:anywhere}
h4{font-size:13px;margin:18px 0 6px;color:var(--soft);font-weight:600}
p{margin:4px 0}
a{color:inherit}
.soft{color:var(--soft)}
small,.soft small{font-size:13px}
nav{margin:10px 0 18px;display:flex;flex-wrap:wrap;gap:4px 14px;font-size:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;margin:16px 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:10px 14px}
.tile b{display:block;font-size:22px;line-height:1.25;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.card{padding:14px 16px;margin:0 0 14px}
.card>header{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;margin-bottom:4px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr));gap:14px 22px}
.grid>div{min-width:0}
.plotted{display:flex;flex-wrap:wrap;gap:4px 22px;align-items:center}
.plotted>svg{flex:1 1 260px;max-width:440px}
.plotted>div{flex:1 1 220px;min-width:0}
.name{font-weight:600;overflow-wrap:anywhere}
ul.findings{list-style:none;margin:0;padding:0}
ul.findings li{padding:8px 12px;border-radius:8px;margin:0 0 6px;border-left:4px solid;overflow-wrap:anywhere}
li.warning{background:var(--warn-bg);border-color:var(--warn)!important}
li.note{background:var(--note-bg);border-color:var(--note)!important}
li .level{font-size:12px;font-weight:700;margin-right:8px}
li.warning .level{color:var(--warn)}
li.note .level{color:var(--note)}
code,.where{font:13px/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:4px 0}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);font-size:13px;white-space:nowrap}
td.number,th.number{text-align:right;padding-right:20px;font-variant-numeric:tabular-nums;white-space:nowrap}
td{overflow-wrap:break-word;min-width:48px}
td:first-child,td:last-child:not(.number){min-width:104px}
.depth-1{padding-left:16px}.depth-2{padding-left:32px}
dl{display:flex;flex-wrap:wrap;gap:2px 18px;margin:4px 0}
dl div{display:flex;gap:6px}
dt{color:var(--soft);font-size:13px}
dd{margin:0;font-size:13px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
details{margin:8px 0}
summary{cursor:pointer;color:var(--soft);font-size:14px}
details.card>summary{color:var(--text)}
svg{display:block}
svg.plot{width:100%;max-width:440px;height:auto;overflow:visible}
svg rect,svg.spark path{fill:var(--bar)}
svg.plot g:hover rect{fill:var(--p2)}
svg text{fill:var(--soft);font-size:10px;font-family:inherit}
svg .axis{stroke:var(--soft)}
svg .grid{stroke:var(--line)}
svg.spark{width:72px;height:16px}
svg.meter{width:90px;height:6px;margin-top:8px}
svg .track{fill:var(--line)}
svg.stacked{width:100%;height:12px;margin:4px 0}
svg .part-0{fill:var(--p0)}svg .part-1{fill:var(--p1)}svg .part-2{fill:var(--p2)}svg .part-3{fill:var(--p3)}
svg .part-4{fill:var(--p4)}svg .part-5{fill:var(--p5)}
svg.schema{width:100%;min-width:460px;max-width:720px;height:auto;margin:0 auto}
svg.schema .node rect{fill:var(--card);stroke:var(--bar);stroke-width:1.5}
svg.schema .node text{fill:var(--text);font-size:12px}
svg.schema .node text.small{fill:var(--soft);font-size:10px}
svg.schema .edge path{fill:none;stroke:var(--bar2);stroke-width:1.5}
svg.schema .edge polygon{fill:var(--bar2)}
svg.schema .edge text{fill:var(--soft);font-size:11px;paint-order:stroke;stroke:var(--card);stroke-width:4px}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px}
.key-0{background:var(--p0)}.key-1{background:var(--p1)}.key-2{background:var(--p2)}.key-3{background:var(--p3)}
.legend{font-size:13px;color:var(--soft)}.legend span{margin-right:14px}
footer{color:var(--soft);font-size:13px;margin-top:40px}
@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
"""

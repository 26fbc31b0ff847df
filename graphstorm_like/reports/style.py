"""The style of a run's report: that of a graph's report, and what only runs have."""

from gconstruct.report.style import STYLE as GRAPH_STYLE

STYLE = (
    GRAPH_STYLE
    + """
svg.plot .line,svg.plot .diagonal,svg.plot .best{fill:none;stroke:var(--bar);stroke-width:1.6}
svg.plot .diagonal{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3}
svg.plot .best{stroke:var(--p2);stroke-width:1;stroke-dasharray:3 2}
svg.curve circle{fill:var(--bar)}
svg.curve g:hover circle{fill:var(--p2)}
svg.dots path,svg.map path{fill:none;stroke-linecap:round;stroke-width:4;stroke-opacity:.55}
svg.map{width:100%;max-width:560px;height:auto}
svg.map path{stroke-width:5;stroke-opacity:.7}
.dot-0{stroke:var(--p0)}.dot-1{stroke:var(--p1)}.dot-2{stroke:var(--p2)}.dot-3{stroke:var(--p3)}
.dot-4{stroke:var(--p4)}.dot-5{stroke:var(--p5)}
.key-4{background:var(--p4)}.key-5{background:var(--p5)}
svg.interval{width:110px;height:12px;margin-top:5px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:0 22px;align-items:start}
svg .spread{fill:var(--text)}
.tile.main{border-color:var(--bar);border-width:2px}
.tile small{display:block;color:var(--soft)}
.heat{max-height:80vh;overflow:auto}
.heat table{width:auto;border-collapse:separate;border-spacing:0}
.heat td,.heat td:first-child,.heat td:last-child:not(.number){text-align:right;padding:4px 7px;min-width:38px;
font-variant-numeric:tabular-nums;white-space:nowrap;border:0;border-right:1px solid var(--line);
border-bottom:1px solid var(--line)}
.heat th{background:var(--card);padding:4px 8px;font-weight:400}
.heat thead th{position:sticky;top:0;z-index:1;vertical-align:bottom}
.heat thead th>span{writing-mode:vertical-rl;transform:rotate(180deg);font-size:12px}
.heat tbody th,.heat thead .corner{position:sticky;left:0;z-index:1;text-align:left;font-size:13px}
.heat thead .corner{z-index:2}
.heat tbody th{max-width:180px;overflow:hidden;text-overflow:ellipsis}
@media(max-width:600px){.heat tbody th,.heat thead .corner{max-width:130px;font-size:12px;white-space:normal}
.classes tr>:nth-child(3),.classes tr>:nth-child(8){display:none}}
.classes .ends{display:block;color:var(--soft);font-size:12px}
.classes td:first-child{min-width:140px}
.beside{display:flex;flex-wrap:wrap;gap:8px 28px}
.beside>.wide{flex:2 1 420px;min-width:0}
.beside>div{flex:1 1 220px;min-width:0}
.beside .legend span{display:block}
.beside h4{margin-top:4px}
.heat td.right{font-weight:600}
.heat td.zero{color:var(--soft)}
.errors{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:12px}
.errors .card{margin:0;min-width:0}
.errors p{overflow-wrap:anywhere}
.verdict{margin:2px 0 6px}
.verdict b{overflow-wrap:anywhere}
.wrong{color:var(--warn)}
blockquote{margin:4px 0;padding:2px 0 2px 10px;border-left:3px solid var(--line);overflow-wrap:anywhere;font-size:14px}
pre{overflow-x:auto;font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--card);
border:1px solid var(--line);border-radius:8px;padding:10px 12px;margin:6px 0}
pre.command{white-space:pre-wrap;overflow-wrap:anywhere}
.remark{border-left:4px solid var(--warn);background:var(--warn-bg);border-radius:8px;padding:8px 12px}
.remark .level{font-size:12px;font-weight:700;margin-right:8px;color:var(--warn)}
tr.baseline td{color:var(--soft)}
.good{color:var(--p3);font-weight:600}
"""
)

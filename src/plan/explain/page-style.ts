/** The look of a page: light and dark as the reader's system has it, one column on a narrow screen. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1a2230;--soft:#5b6678;--line:#d9dee7;--accent:#2f5fd0;
--host:#eef1f6;--cgroup:#e6f2ee;--space:#e8eefb;--root:#f6efe3;--process:#fff;--warn:#9a5b00;--warn-back:#fff4df;--bar:#7aa2f7;--wait:#c9d1df;
--radius:14px;--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{--page:#10141b;--card:#171d27;--ink:#e4e9f2;--soft:#97a3b6;--line:#2b3443;--accent:#8fb0ff;
--host:#151b25;--cgroup:#14241f;--space:#172236;--root:#241f16;--process:#1a202b;--warn:#f0b867;--warn-back:#2b2213;--bar:#4f76c9;--wait:#3a4557}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
header{margin-bottom:28px}
h1{font-size:clamp(1.5rem,4.5vw,2.2rem);line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:40px 0 12px;letter-spacing:-.005em}
h3{font-size:.8rem;margin:0 0 8px;text-transform:uppercase;letter-spacing:.07em;color:var(--soft);font-weight:600}
p{margin:0 0 12px}.soft{color:var(--soft)}
code,.mono{font-family:var(--mono);font-size:.86em;overflow-wrap:anywhere}
ul{margin:0;padding:0;list-style:none}li{overflow-wrap:anywhere}
.box{border:1px solid var(--line);border-radius:var(--radius);padding:16px;min-width:0}
.box>.box{margin-top:14px}
.host{background:var(--host)}.cgroup{background:var(--cgroup)}.space{background:var(--space)}.root{background:var(--root)}.process{background:var(--process)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:16px 28px}.grid>*{min-width:0}
.chips{display:flex;flex-wrap:wrap;gap:8px}
.chip{border:1px solid var(--line);border-radius:999px;padding:2px 12px;background:var(--card);font-size:.9rem;overflow-wrap:anywhere;max-width:100%}
.chip.host-own{border-style:dashed;background:transparent;color:var(--soft)}
.at{color:var(--soft);font-family:var(--mono);font-size:.75rem;overflow-wrap:anywhere}
.tree ul{border-left:2px solid var(--line);margin-left:7px;padding-left:14px}.tree li{padding:2px 0}
.weak{background:var(--warn-back);border:1px solid var(--line);border-left:4px solid var(--warn);border-radius:10px;padding:10px 14px;margin:0 0 8px}
.weak .at{color:var(--warn)}
.line{position:relative;margin:0;padding:0 0 0 26px}
.line>li{position:relative;padding:0 0 18px}
.line>li::before{content:"";position:absolute;left:-22px;top:7px;width:10px;height:10px;border-radius:50%;background:var(--accent)}
.line>li.parent::before{background:var(--page);border:2px solid var(--accent)}
.line>li::after{content:"";position:absolute;left:-18px;top:20px;bottom:-4px;width:2px;background:var(--line)}
.line>li:last-child::after{display:none}
.bars{display:grid;gap:6px;margin:0 0 20px}
.row{display:grid;grid-template-columns:minmax(0,15rem) minmax(0,1fr) 5.5rem;gap:12px;align-items:center;font-size:.92rem}
.row>span{overflow-wrap:anywhere}.row .time{text-align:right;font-variant-numeric:tabular-nums;color:var(--soft)}
.track{position:relative;height:14px;border-radius:7px;background:var(--host);overflow:hidden}
.track i{position:absolute;top:0;bottom:0;border-radius:7px;background:var(--bar);min-width:2px}.track i.init{background:var(--accent)}
details{border:1px solid var(--line);border-radius:var(--radius);background:var(--card);margin:0 0 10px;overflow:hidden}
summary{cursor:pointer;padding:12px 16px;font-weight:600;overflow-wrap:anywhere}summary .soft{font-weight:400}
.topic{padding:14px 16px 4px;margin:0}
.step{display:grid;grid-template-columns:3rem minmax(0,1fr) minmax(0,13rem) 5rem;gap:2px 12px;padding:5px 16px;border-top:1px solid var(--line);font-size:.92rem}
.step>*{min-width:0;overflow-wrap:anywhere}.step .n{color:var(--soft);text-align:right;font-variant-numeric:tabular-nums}
.step code{display:block;color:var(--soft)}.step .time{text-align:right;font-variant-numeric:tabular-nums;color:var(--soft)}
footer{margin-top:40px;color:var(--soft);font-size:.85rem}
@media (max-width:640px){main{padding:22px 12px 48px}.box{padding:12px}.row{grid-template-columns:minmax(0,1fr) 5rem}.row .track{grid-column:1/-1;grid-row:2}
.step{grid-template-columns:2.2rem minmax(0,1fr)}.step .at,.step .time{grid-column:2;text-align:left}.step .time:empty,.step .at:empty{display:none}}
@media print{details{break-inside:avoid}}
`;

import sys,json,collections
from harness import *
v=sys.argv[1]
key=json.load(open("key2.json")); ans={}
for h in range(8):
    try: lines=open(f"route{v}/{h}/answers.txt").read().split("\n")
    except FileNotFoundError: print("no",h); continue
    for l in lines:
        if l.strip():
            k,w=l.split(); assert w in("FAST","BALANCED","DEEP"),l
            assert k not in ans,k; ans[k]=("FAST","BALANCED","DEEP").index(w)
print(len(ans),"answers of",len(key))
sc={};PR={}
for s in TIERS:
    for r in rows(s): sc[s,r["id"]]=r["scores"]; PR[s,r["id"]]=r["prompt"]
P=[];M=[]; bs={}
for s,t in TIERS.items():
    kk=[k for k in ans if key[k][0]==s]
    pair=np.array([sc[tuple(key[k])][t["deep"]]-sc[tuple(key[k])][t["fast"]] for k in kk])
    full=[m for m in sorted({m for k in kk for m in sc[tuple(key[k])]}) if all(m in sc[tuple(key[k])] for k in kk)]
    A=np.array([[sc[tuple(key[k])][m] for m in full] for k in kk]); o=np.argsort(A.mean(0)); b=max(1,len(full)//3)
    many=A[:,o[-b:]].mean(1)-A[:,o[:b]].mean(1)
    L=np.array([len(PR[tuple(key[k])]) for k in kk]); d=np.array([ans[k] for k in kk])
    o=d*1e6+L
    BP=boot({"o":o,"L":L},pair,1000); BM=boot({"o":o,"L":L},many,1000)
    P.append(BP["o"]-BP["L"]);M.append(BM["o"]-BM["L"])
    f=lambda x,B:f"{x:+.3f} ({np.quantile(B,.025):+.3f} … {np.quantile(B,.975):+.3f})"
    print(f"{s:17s} n {len(kk)} mix {np.round(np.bincount(d,minlength=3)/len(d),2)} gain by level {[(round(float(pair[d==j].mean()),2),round(float(many[d==j].mean()),2)) for j in range(3) if (d==j).any()]} tiers {apgr(d,pair):.3f} full {apgr(o,pair):.3f} len {apgr(L,pair):.3f} pair {f(apgr(o,pair)-apgr(L,pair),P[-1])} | many {apgr(o,many):.3f} len {apgr(L,many):.3f} {f(apgr(o,many)-apgr(L,many),M[-1])}")
p=np.mean(P,0);m=np.mean(M,0)
print("mean pair",round(float(p.mean()),3),np.quantile(p,[.025,.975]).round(3),"many",round(float(m.mean()),3),np.quantile(m,[.025,.975]).round(3))

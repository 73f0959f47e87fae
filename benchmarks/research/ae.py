import json
from harness import *
from benchmarks.routing_data import TIERS
key=json.load(open("key4.json")); ans={"A":{},"B":{}}
for v,d,n in(("A","routeE",4),("B","routeD",8)):
    for h in range(n):
        for l in open(f"{d}/{h}/answers.txt"):
            if l.strip(): k,w=l.split(); ans[v][k]=("FAST","BALANCED","DEEP").index(w)
sc={};PR={}
for s in TIERS:
    if s.startswith("zero"):
        for r in rows(s): sc[s,r["id"]]=r["scores"]; PR[s,r["id"]]=r["prompt"]
kk=[k for k in ans["A"] if key[k][0].startswith("zero")]; print(len(kk))
pair=np.array([sc[tuple(key[k])]["Llama-3.1-405B-Inst@sambanova"]-sc[tuple(key[k])]["Meta-Llama-3.1-8B-Instruct"] for k in kk])
L=np.array([len(PR[tuple(key[k])]) for k in kk]); st=np.array([key[k][0] for k in kk])
w0=np.array([1/np.sum(st==s) for s in st])*len(st)/len(set(st)); d={v:np.array([ans[v][k] for k in kk]) for v in "AB"}
rng=np.random.default_rng(0); b=[]
for _ in range(1000):
    w=w0*rng.poisson(1,len(kk)); b.append((apgr(d["B"],pair,w)-apgr(d["A"],pair,w),apgr(d["B"]*1e6+L,pair,w)-apgr(d["A"]*1e6+L,pair,w),apgr(d["A"],pair,w),apgr(d["B"],pair,w),apgr(L,pair,w)))
b=np.array(b)
for i,n in enumerate(("B-A tiers","B-A full","A tiers","B tiers","length")): print(n,f"{b[:,i].mean():+.3f} ({np.quantile(b[:,i],.025):+.3f} … {np.quantile(b[:,i],.975):+.3f})")
for v in "AB": print(v,[round(float(np.average(d[v]==j,weights=w0)),2) for j in range(3)],[round(float(np.average(pair[d[v]==j],weights=w0[d[v]==j])),2) for j in range(3) if (d[v]==j).any()])

import json
from harness import *
from benchmarks.routing_data import ONE_FLEET,TIERS,_LLAMA
key=json.load(open("key2.json")); ans={"A":{},"B":{}}
for v in "AB":
  for h in range(8):
    for l in open(f"route{v}/{h}/answers.txt"):
        if l.strip(): k,w=l.split(); ans[v][k]=("FAST","BALANCED","DEEP").index(w)
sc={};PR={}
for s in TIERS:
    for r in rows(s): sc[s,r["id"]]=r["scores"]; PR[s,r["id"]]=r["prompt"]
conf=np.zeros((3,3),int)
for k in key: conf[ans["A"][k],ans["B"][k]]+=1
print("A rows, B cols\n",conf)
Z={s:{"fast":"Meta-Llama-3.1-8B-Instruct","deep":"Llama-3.1-405B-Inst@sambanova"} for s in TIERS if s.startswith("zero")}
rng=np.random.default_rng(0)
for name,F in(("six, each pair",TIERS),("trio",Z),("one_fleet",ONE_FLEET)):
    kk=[k for k in key if key[k][0] in F and all(m in sc[tuple(key[k])] for m in F[key[k][0]].values())]
    pair=np.array([sc[tuple(key[k])][F[key[k][0]]["deep"]]-sc[tuple(key[k])][F[key[k][0]]["fast"]] for k in kk])
    L=np.array([len(PR[tuple(key[k])]) for k in kk]); st=np.array([key[k][0] for k in kk])
    w0=np.array([1/np.sum(st==s) for s in st])*len(st)/len(set(st)); d={v:np.array([ans[v][k] for k in kk]) for v in "AB"}
    b=[]
    for _ in range(1000):
        w=w0*rng.poisson(1,len(kk)); a={v:apgr(d[v]*1e6+L,pair,w) for v in "AB"}; t={v:apgr(d[v],pair,w) for v in "AB"}
        # at the same number of not-fast calls? step-up set: gain of those not FAST, minus chance at the same share
        f={v:(np.average(pair*(d[v]>0),weights=w)-np.mean(np.average(d[v]>0,weights=w))*np.average(pair,weights=w))/np.average(pair,weights=w) for v in "AB"}
        b.append((a["B"]-a["A"],t["B"]-t["A"],t["B"],t["A"],f["B"],f["A"]))
    b=np.array(b); print(name,len(kk),[f"{n} {b[:,i].mean():+.3f} ({np.quantile(b[:,i],.025):+.3f} … {np.quantile(b[:,i],.975):+.3f})" for i,n in enumerate(("B-A full","B-A tiers","B tiers","A tiers","B recov","A recov"))])

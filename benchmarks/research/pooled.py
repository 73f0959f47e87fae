import sys,json
from harness import *
from benchmarks.routing_data import ONE_FLEET,TIERS,_LLAMA
v=sys.argv[1]
key=json.load(open("key2.json")); ans={}
for h in range(8):
    for l in open(f"route{v}/{h}/answers.txt"):
        if l.strip(): k,w=l.split(); ans[k]=("FAST","BALANCED","DEEP").index(w)
sc={};PR={}
for s in TIERS:
    for r in rows(s): sc[s,r["id"]]=r["scores"]; PR[s,r["id"]]=r["prompt"]
Z={s:{"fast":"Meta-Llama-3.1-8B-Instruct","deep":"Llama-3.1-405B-Inst@sambanova"} for s in TIERS if s.startswith("zero")}
rng=np.random.default_rng(0)
for name,F in(("zeroeval trio 8B/405B",Z),("one_fleet 8B/70B",ONE_FLEET),("one_fleet less ulab",{k:x for k,x in ONE_FLEET.items() if k!="ulab_llmrouter"})):
    kk=[k for k in ans if key[k][0] in F and all(m in sc[tuple(key[k])] for m in F[key[k][0]].values())]
    pair=np.array([sc[tuple(key[k])][F[key[k][0]]["deep"]]-sc[tuple(key[k])][F[key[k][0]]["fast"]] for k in kk])
    L=np.array([len(PR[tuple(key[k])]) for k in kk]); d=np.array([ans[k] for k in kk]); st=np.array([key[k][0] for k in kk])
    # equal weight a set
    w0=np.array([1/np.sum(st==s) for s in st])*len(st)/len(set(st))
    o=d*1e6+L
    b=[]
    for _ in range(1000):
        w=w0*rng.poisson(1,len(kk)); b.append((apgr(o,pair,w)-apgr(L,pair,w),apgr(d,pair,w)-.5))
    b=np.array(b)
    print(name,len(kk),"APGR strategy %.3f tiers %.3f length %.3f"%(apgr(o,pair,w0),apgr(d,pair,w0),apgr(L,pair,w0)),"minus length",np.quantile(b[:,0],[.025,.975]).round(3),"tiers-chance",np.quantile(b[:,1],[.025,.975]).round(3),"gain by level",[round(float(np.average(pair[d==j],weights=w0[d==j])),3) for j in range(3)])
